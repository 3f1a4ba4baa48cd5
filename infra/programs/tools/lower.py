"""From rustc's bitcode to a BPF object, with LLVM's own tools.

Keeps what the entry point reaches, and rewrites the memory intrinsics that the BPF back end would turn into library
calls it then refuses: those of large or unknown size become syscalls.
"""

import re
import subprocess
from pathlib import Path

ENTRY = "entrypoint"
MEMORY_FUNCTIONS = ("memcpy", "memmove", "memset", "memcmp", "bcmp")
#: Up to this many bytes the back end unrolls a copy by itself.
UNROLLED_BYTES_MAX = 128

_INTRINSIC = re.compile(
    r"(?P<head>call void )@llvm\.(?P<kind>memcpy|memmove|memset)\.p0(?:\.p0)?\.i64\("
    r"(?P<operands>.*), i64 (?:[a-z]+(?:\([^()]*\))? )*(?P<size>[%\w.]+), i1 (?:false|true)\)"
)
_SYSCALL = {
    # memmove for both: the runtime's memcpy aborts when source and destination are the same.
    "memcpy": ("sol_memmove_", "ptr, ptr, i64, i1"),
    "memmove": ("sol_memmove_", "ptr, ptr, i64, i1"),
    "memset": ("sol_memset_", "ptr, i8, i64, i1"),
}


def replace_memory_intrinsics(ir: str) -> str:
    """LLVM IR in which no memory intrinsic of large or unknown size is left."""
    declared: dict[str, str] = {}

    def as_syscall(call: re.Match[str]) -> str:
        size = call["size"]
        if size.isdigit() and int(size) <= UNROLLED_BYTES_MAX:
            return call[0]
        name, signature = _SYSCALL[call["kind"]]
        declared[name] = signature
        return f"{call['head']}@{name}({call['operands']}, i64 {size}, i1 false)"

    ir = _INTRINSIC.sub(as_syscall, ir)
    for name, signature in sorted(declared.items()):
        if not re.search(rf"^(?:declare|define) .*@{name}\(", ir, re.MULTILINE):
            ir += f"\ndeclare void @{name}({signature})\n"
    return ir


def bitcode_to_object(llvm: Path, bitcode: Path, features: str) -> bytes:
    """Compiles one bitcode file; intermediate files are left beside it for inspection."""

    def run(tool: str, *arguments: str) -> None:
        subprocess.run([str(llvm / "bin" / tool), *arguments], check=True)

    kept, text, made = (bitcode.with_suffix(suffix) for suffix in (".kept.bc", ".ll", ".bpf.o"))
    public = ",".join((ENTRY, *MEMORY_FUNCTIONS))
    run(
        "opt", "-passes=internalize,globaldce", f"--internalize-public-api-list={public}", str(bitcode), "-o", str(kept)
    )
    run("llvm-dis", str(kept), "-o", str(text))
    text.write_text(replace_memory_intrinsics(text.read_text()))
    run(
        "llc", "-O3", "-march=bpfel", "-mcpu=v2", f"-mattr={features}", "--bpf-stack-size=4096",
        "--bpf-disable-trap-unreachable", "-function-sections", "-data-sections", "-filetype=obj",
        str(text), "-o", str(made),
    )  # fmt: skip
    return made.read_bytes()
