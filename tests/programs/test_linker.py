"""The linker refuses what a program on chain may not have."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs.test_built import PROGRAMS, TOOLCHAIN, toolchain

sys.path.insert(0, str(PROGRAMS / "tools"))

from elf import LinkError, read_object
from linker import link
from lower import replace_memory_intrinsics

ENTRY = "define i64 @entrypoint(ptr %input) {\n  BODY\n}\n"


def compiled(tmp_path: Path, text: str) -> bytes:
    toolchain()
    root = TOOLCHAIN / "root" / "usr"
    (tmp_path / "program.ll").write_text(text)
    subprocess.run(
        [
            str(root / "lib" / "llvm-22" / "bin" / "llc"), "-march=bpfel", "-mcpu=v2", "-filetype=obj",
            "-data-sections", "-function-sections", str(tmp_path / "program.ll"), "-o", str(tmp_path / "program.o"),
        ],
        check=True,
        env={"LD_LIBRARY_PATH": str(root / "lib" / "x86_64-linux-gnu")},
    )  # fmt: skip
    return (tmp_path / "program.o").read_bytes()


def program(body: str, *globals_: str) -> str:
    return "\n".join([*globals_, ENTRY.replace("BODY", body)])


def test_a_program_that_only_returns_links(tmp_path: Path) -> None:
    made = link(read_object(compiled(tmp_path, program("ret i64 0"))))
    assert made[:4] == b"\x7fELF"
    assert link(read_object(compiled(tmp_path, program("ret i64 0")))) == made


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(
            program("%v = load volatile i64, ptr @state\n  ret i64 %v", "@state = global i64 7"),
            "writable",
            id="writable",
        ),
        pytest.param(
            program("%v = call i64 @getrandom()\n  ret i64 %v", "declare i64 @getrandom()"), "undefined", id="undefined"
        ),
        pytest.param("define i64 @main() {\n  ret i64 0\n}\n", "no symbol", id="no entry point"),
    ],
)
def test_what_a_program_may_not_have_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    made = compiled(tmp_path, text)
    with pytest.raises(LinkError, match=reason):
        link(read_object(made))


def test_another_machines_object_is_refused() -> None:
    with pytest.raises(LinkError, match="BPF"):
        read_object(Path(sys.executable).read_bytes()[:64])


def test_only_large_or_unknown_copies_become_syscalls() -> None:
    small = "  call void @llvm.memcpy.p0.p0.i64(ptr %a, ptr %b, i64 128, i1 false)\n"
    assert replace_memory_intrinsics(small) == small
    for size in ("129", "%n"):
        large = f"  call void @llvm.memcpy.p0.p0.i64(ptr align 8 %a, ptr %b, i64 {size}, i1 false)\n"
        lowered = replace_memory_intrinsics(large)
        assert f"@sol_memmove_(ptr align 8 %a, ptr %b, i64 {size}, i1 false)" in lowered
        assert "declare void @sol_memmove_(ptr, ptr, i64, i1)" in lowered
