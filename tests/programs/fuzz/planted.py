"""Builds the vault program with one bug planted, far from the real one.

Sources are copied, changed and compiled in a directory of their own, with a toolchain directory of their own that only
borrows the unpacked compiler: neither the sources nor the build cache of the real program ever see a bug.
"""

import os
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
PROGRAMS: Final = ROOT / "infra" / "programs"
TOOLCHAIN: Final = Path(os.environ.get("XORJ_PROGRAM_TOOLS") or ROOT / ".xorj" / "toolchain")
OWN_TOOLCHAIN: Final = ROOT / ".xorj" / "planted"


@dataclass(frozen=True, slots=True)
class Bug:
    """One replacement in one file of infra/programs."""

    name: str
    file: str
    old: str
    new: str


class StaleBug(AssertionError):
    """The text to replace does not occur exactly once any more."""


def bugs() -> list[Bug]:
    with (PROGRAMS / "planted" / "bugs.toml").open("rb") as file:
        return [Bug(**entry) for entry in tomllib.load(file)["bug"]]


def plant(bug: Bug, sources: Path) -> None:
    """Changes a copy of infra/programs. Raises `StaleBug`."""
    path = sources / bug.file
    text = path.read_text()
    if text.count(bug.old) != 1:
        raise StaleBug(f"{bug.name}: {bug.file} holds the text {text.count(bug.old)} times")
    path.write_text(text.replace(bug.old, bug.new))


def build(bug: Bug, out: Path) -> bytes:
    """The planted vault program. Raises `StaleBug`, or `CalledProcessError` when it does not compile."""
    # Always in the same place: the compiler's cache of the core library depends on it.
    sources = OWN_TOOLCHAIN / "programs"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(PROGRAMS, sources, ignore=shutil.ignore_patterns("built", "target", "__pycache__"))
    plant(bug, sources)
    _borrow_compiler()
    environment = {**os.environ, "XORJ_PROGRAM_TOOLS": str(OWN_TOOLCHAIN)}
    command = [str(sources / "build.sh"), str(out), "vault"]
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return (out / "vault.so").read_bytes()


def _borrow_compiler() -> None:
    OWN_TOOLCHAIN.mkdir(parents=True, exist_ok=True)
    root = OWN_TOOLCHAIN / "root"
    if not root.exists():
        root.symlink_to(TOOLCHAIN / "root")
    shutil.copy(TOOLCHAIN / "ready", OWN_TOOLCHAIN / "ready")
