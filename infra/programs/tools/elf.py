"""Reading a relocatable BPF object and writing a shared one: bytes only, no linking decisions."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

MACHINE_BPF = 247
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_HEADER_LEN, _SEGMENT_LEN, _SEGMENTS = 64, 56, 3
HEAD_LEN = _HEADER_LEN + _SEGMENTS * _SEGMENT_LEN


class LinkError(Exception):
    """The object asks for something that a program on chain may not have."""


@dataclass(frozen=True, slots=True)
class Symbol:
    name: str
    section: int
    value: int


@dataclass(frozen=True, slots=True)
class Relocation:
    place: int
    kind: int
    symbol: Symbol


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    kind: int
    flags: int
    content: bytes
    align: int
    relocations: tuple[Relocation, ...] = field(default=())

    @property
    def is_code(self) -> bool:
        return bool(self.flags & 4)

    @property
    def is_constant(self) -> bool:
        """Loaded and never written; `.data.rel.ro` is writable only for a loader that relocates it."""
        if self.kind != 1 or not self.flags & 2:
            return False
        return not self.flags & 1 or self.name.startswith(".data.rel.ro")


@dataclass(frozen=True, slots=True)
class BpfObject:
    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]


def read_object(data: bytes) -> BpfObject:
    """Sections with their relocations, and symbols. LinkError when it is not a little-endian BPF object."""
    if data[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", data, 18)[0] != MACHINE_BPF:
        raise LinkError("not a little-endian BPF object")
    (table,) = struct.unpack_from("<Q", data, 40)
    count, names_at = struct.unpack_from("<HH", data, 60)
    raw = [_SECTION.unpack_from(data, table + _SECTION.size * index) for index in range(count)]

    def text(offset: int) -> str:
        return data[offset : data.index(b"\0", offset)].decode()

    symbol_table = next(section for section in raw if section[1] == 2)
    strings = raw[symbol_table[6]][4]
    symbols = []
    for at in range(symbol_table[4], symbol_table[4] + symbol_table[5], _SYMBOL.size):
        name, _info, _other, section, value, _size = _SYMBOL.unpack_from(data, at)
        symbols.append(Symbol(text(strings + name), section, value))
    relocations: dict[int, list[Relocation]] = {}
    for section in raw:
        if section[1] == 4:
            raise LinkError("relocations with addends are not used on BPF")
        if section[1] == 9:
            for at in range(section[4], section[4] + section[5], 16):
                place, info = struct.unpack_from("<QQ", data, at)
                relocations.setdefault(section[7], []).append(Relocation(place, info & 0xFFFFFFFF, symbols[info >> 32]))
    sections = tuple(
        Section(
            text(raw[names_at][4] + entry[0]), entry[1], entry[2],
            b"" if entry[1] == 8 else data[entry[4] : entry[4] + entry[5]], entry[8], tuple(relocations.get(index, ())),
        )
        for index, entry in enumerate(raw)
    )  # fmt: skip
    return BpfObject(sections, tuple(symbols))


@dataclass(frozen=True, slots=True)
class Extent:
    at: int
    len: int


def pad(image: bytearray, align: int) -> int:
    """Fills with zeros to a multiple of `align`; returns the length then."""
    image.extend(bytes(-len(image) % align))
    return len(image)


def finish(
    image: bytearray, code: Extent, constants: Extent, entry: int, syscalls: list[str], dynamic: Mapping[int, int]
) -> bytes:
    """Appends the tables that the loader reads and writes the headers. Addresses are file offsets.

    `dynamic` maps each place to relocate to its info word; symbol 0 is empty, symbol n is syscalls[n - 1].
    """
    strings, offsets = bytearray(b"\0"), [0]
    for name in syscalls:
        offsets.append(len(strings))
        strings += name.encode() + b"\0"
    symbols = b"".join(_SYMBOL.pack(at, 0x10 if at else 0, 0, 0, 0, 0) for at in offsets)
    relocations = b"".join(struct.pack("<QQ", place, dynamic[place]) for place in sorted(dynamic))
    tags_len = 9 * 16
    tags_at = pad(image, 8)
    symbols_at = tags_at + tags_len
    strings_at = symbols_at + len(symbols)
    relocations_at = (strings_at + len(strings) + 7) & ~7
    tags = (
        (0x1E, 4),  # DT_FLAGS: DF_TEXTREL
        (0x11, relocations_at), (0x12, len(relocations)), (0x13, 16),  # DT_REL, its size and its entry's size
        (6, symbols_at), (0xB, _SYMBOL.size), (5, strings_at), (0xA, len(strings)),  # symbols, strings
        (0, 0),
    )  # fmt: skip
    image.extend(b"".join(struct.pack("<QQ", *tag) for tag in tags) + symbols + strings)
    pad(image, 8)
    image.extend(relocations)

    has_constants = 1 if constants.len else 0
    symbols_index, strings_index = 3 + has_constants, 4 + has_constants
    sections = [("", 0, 0, 0, 0, 0, 0, 0, 0), (".text", 1, 6, code.at, code.len, 0, 0, 8, 0)]
    if has_constants:
        sections.append((".rodata", 1, 2, constants.at, constants.len, 0, 0, 8, 0))
    sections += [
        (".dynamic", 6, 3, tags_at, tags_len, strings_index, 0, 8, 16),
        (".dynsym", 11, 2, symbols_at, len(symbols), strings_index, 1, 8, _SYMBOL.size),
        (".dynstr", 3, 2, strings_at, len(strings), 0, 0, 1, 0),
        (".rel.dyn", 9, 2, relocations_at, len(relocations), symbols_index, 0, 8, 16),
    ]
    names = b"".join(section[0].encode() + b"\0" for section in sections) + b".shstrtab\0"
    sections.append((".shstrtab", 3, 0, len(image), len(names), 0, 0, 1, 0))
    image.extend(names)
    table_at = pad(image, 8)
    for name, kind, flags, at, length, link, info, align, entry_len in sections:
        name_at = names.index(name.encode() + b"\0")
        image.extend(_SECTION.pack(name_at, kind, flags, at if flags else 0, at, length, link, info, align, entry_len))

    def segment(kind: int, flags: int, at: int, length: int, align: int) -> bytes:
        return struct.pack("<IIQQQQQQ", kind, flags, at, at, at, length, length, align)

    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack(
        "<HHIQQQIHHHHHH", 3, MACHINE_BPF, 1, entry, _HEADER_LEN, table_at, 0, _HEADER_LEN, _SEGMENT_LEN, _SEGMENTS,
        _SECTION.size, len(sections), len(sections) - 1,
    )  # fmt: skip
    head += segment(1, 5, code.at, code.len, 0x1000)
    head += segment(1, 4, constants.at, relocations_at + len(relocations) - constants.at, 0x1000)
    head += segment(2, 6, tags_at, tags_len, 8)
    image[:HEAD_LEN] = head
    return bytes(image)
