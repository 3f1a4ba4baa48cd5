#!/usr/bin/env python3
"""Linker that rustc calls for the bpfel-unknown-none target: one bitcode file in, one SBPF v0 shared object out.

Refuses what a program on chain cannot have: writable globals, symbols that are no syscalls, unknown relocations.
Same input, same bytes: nothing here depends on paths, time or hash order. LLVM names LLVM's directory.
"""

import os
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from elf import HEAD_LEN, BpfObject, Extent, LinkError, Relocation, finish, pad, read_object
from lower import ENTRY, bitcode_to_object

SYSCALLS = frozenset(
    (
        "abort",
        "sol_panic_",
        "sol_log_",
        "sol_log_64_",
        "sol_log_compute_units_",
        "sol_log_pubkey",
        "sol_log_data",
        "sol_create_program_address",
        "sol_try_find_program_address",
        "sol_sha256",
        "sol_get_sysvar",
        "sol_get_clock_sysvar",
        "sol_get_rent_sysvar",
        "sol_memcpy_",
        "sol_memmove_",
        "sol_memcmp_",
        "sol_memset_",
        "sol_invoke_signed_c",
        "sol_set_return_data",
        "sol_get_return_data",
        "sol_get_stack_height",
    )
)
R_BPF_64_64, R_BPF_64_ABS64, R_BPF_64_32 = 1, 2, 10
R_RELATIVE, R_CALL = 8, 10
LDDW, CALLX = 0x18, 0x8D


@dataclass(slots=True)
class Image:
    """The file being laid out, and what the loader must still relocate in it."""

    obj: BpfObject
    content: bytearray = field(default_factory=lambda: bytearray(HEAD_LEN))
    address: dict[int, int] = field(default_factory=dict)
    syscalls: list[str] = field(default_factory=list)
    dynamic: dict[int, int] = field(default_factory=dict)


def link(obj: BpfObject) -> bytes:
    entry = next((symbol for symbol in obj.symbols if symbol.name == ENTRY and symbol.section), None)
    if entry is None:
        raise LinkError(f"no symbol {ENTRY}")
    live = sorted(reachable(obj, entry.section))
    code_ids = [index for index in live if obj.sections[index].is_code]
    constant_ids = [index for index in live if not obj.sections[index].is_code]
    for index in constant_ids:
        if not obj.sections[index].is_constant:
            raise LinkError(f"section {obj.sections[index].name}: a program has no writable globals")
    image = Image(obj)
    code = place(image, code_ids)
    constants = place(image, constant_ids)
    use_immediate_of_callx(image.content, code)
    for index in live:
        for relocation in obj.sections[index].relocations:
            if obj.sections[index].is_code:
                relocate_code(image, image.address[index] + relocation.place, relocation)
            else:
                relocate_constant(image, image.address[index] + relocation.place, relocation)
    entry_at = image.address[entry.section] + entry.value
    return finish(image.content, code, constants, entry_at, image.syscalls, image.dynamic)


def reachable(obj: BpfObject, start: int) -> set[int]:
    """Sections that the start's relocations lead to."""
    seen: set[int] = set()
    todo = [start]
    while todo:
        index = todo.pop()
        if index not in seen:
            seen.add(index)
            todo += [r.symbol.section for r in obj.sections[index].relocations if r.symbol.section]
    return seen


def place(image: Image, ids: Sequence[int]) -> Extent:
    start = pad(image.content, 8)
    for index in ids:
        section = image.obj.sections[index]
        image.address[index] = pad(image.content, max(8, section.align))
        image.content.extend(section.content)
    return Extent(start, pad(image.content, 8) - start)


def use_immediate_of_callx(content: bytearray, code: Extent) -> None:
    """SBPF v0 reads the register of an indirect call from the immediate; LLVM writes it as destination."""
    at = code.at
    while at < code.at + code.len:
        if content[at] == CALLX:
            struct.pack_into("<BhI", content, at + 1, 0, 0, content[at + 1] & 15)
        at += 16 if content[at] == LDDW else 8


def relocate_code(image: Image, at: int, relocation: Relocation) -> None:
    symbol, content = relocation.symbol, image.content
    if relocation.kind == R_BPF_64_32 and symbol.section:
        (implied,) = struct.unpack_from("<i", content, at + 4)
        target = image.address[symbol.section] + symbol.value + (implied + 1) * 8
        struct.pack_into("<i", content, at + 4, (target - at) // 8 - 1)
        content[at + 1] = 0x10  # a call relative to the instruction
    elif relocation.kind == R_BPF_64_32:
        name = "abort" if symbol.name == "__bpf_trap" else symbol.name
        if name not in SYSCALLS:
            raise LinkError(f"undefined symbol {name}")
        if name not in image.syscalls:
            image.syscalls.append(name)
        struct.pack_into("<i", content, at + 4, -1)
        image.dynamic[at] = R_CALL | (image.syscalls.index(name) + 1) << 32
    elif relocation.kind == R_BPF_64_64 and symbol.section:
        (low,) = struct.unpack_from("<I", content, at + 4)
        (high,) = struct.unpack_from("<I", content, at + 12)
        value = image.address[symbol.section] + symbol.value + (low | high << 32)
        struct.pack_into("<I", content, at + 4, value & 0xFFFFFFFF)
        struct.pack_into("<I", content, at + 12, value >> 32)
        image.dynamic[at] = R_RELATIVE
    else:
        raise LinkError(f"relocation {relocation.kind} of {symbol.name} in code")


def relocate_constant(image: Image, at: int, relocation: Relocation) -> None:
    symbol = relocation.symbol
    if relocation.kind != R_BPF_64_ABS64 or not symbol.section:
        raise LinkError(f"relocation {relocation.kind} of {symbol.name} in constants")
    (addend,) = struct.unpack_from("<Q", image.content, at)
    # The loader reads the word four bytes in, where a lddw would have it.
    struct.pack_into("<II", image.content, at, 0, image.address[symbol.section] + symbol.value + addend)
    image.dynamic[at] = R_RELATIVE


def main(arguments: Sequence[str]) -> int:
    output, features, objects = "", "", []
    words = iter(arguments)
    for word in words:
        if word == "-o":
            output = next(words)
        elif word == "--cpu-features":
            features = next(words)
        elif word in ("--export-symbols", "-L", "--cpu"):
            next(words)
        elif word.endswith(".o"):
            objects.append(word)
    if len(objects) != 1 or not output:
        sys.stderr.write(f"linker: expected one bitcode file (fat link-time optimisation), got {objects}\n")
        return 1
    try:
        made = bitcode_to_object(Path(os.environ["LLVM"]), Path(objects[0]), features)
        Path(output).write_bytes(link(read_object(made)))
    except LinkError as error:
        sys.stderr.write(f"linker: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
