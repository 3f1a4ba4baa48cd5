"""`xorj program build`, and the built programs with their hashes.

1. A built program is used only if its bytes have the hash that was recorded when it was built, where one was recorded.
"""

import asyncio
import hashlib
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from xorj_localnet.genesis.document import PROGRAMS_DIRECTORY

from xorj_cli.output import Exit, Failure, stdout
from xorj_cli.program.running import Body, Result

NAMES = ("vault", "cpmm")
VAULT_ELF = PROGRAMS_DIRECTORY / "vault.so"
_SCRIPT = PROGRAMS_DIRECTORY.parent / "build.sh"


@dataclass(frozen=True, slots=True)
class Elf:
    """A program's bytes and where they come from."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        """Hash of the bytes."""
        return hashlib.sha256(self.content).hexdigest()


def read_elf(path: Path) -> Elf:
    """A built program. Raises `Failure` when it cannot be read or is not what was recorded."""
    try:
        elf = Elf(path, path.read_bytes())
        sums = path.with_name("SHA256SUMS")
        recorded = _recorded(sums.read_text()) if sums.exists() else {}
    except (OSError, ValueError) as error:
        raise Failure("no_program_file", f"{path}: {error}", "`xorj program build` makes it", Exit.USAGE) from error
    if recorded.get(path.name, elf.sha256) != elf.sha256:
        raise Failure(
            "not_as_built",
            f"{path} has the hash {elf.sha256}, recorded is {recorded[path.name]}",
            "`xorj program build` makes it anew",
            Exit.CHECK_FAILED,
        )
    return elf


async def build(*, check: bool) -> Result:
    """Builds the programs; with `check` aside, comparing with what is there. Raises `Failure`."""
    if shutil.which("cargo") is None:
        raise Failure("no_toolchain", "cargo is missing", "any recent cargo will do; `xorj doctor` tells how to get it")
    before = {name: _hash_or_none(PROGRAMS_DIRECTORY / f"{name}.so") for name in NAMES}
    with tempfile.TemporaryDirectory() as aside:
        out = Path(aside) if check else PROGRAMS_DIRECTORY
        process = await asyncio.create_subprocess_exec(str(_SCRIPT), str(out), *NAMES, stdout=sys.stderr)
        try:
            ended = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        if ended != 0:
            raise Failure("build_failed", f"the build ended with {ended}", "its messages are above", Exit.CHECK_FAILED)
        made = {name: Elf(out / f"{name}.so", (out / f"{name}.so").read_bytes()) for name in NAMES}
    rows = [
        {"name": name, "bytes": len(elf.content), "sha256": elf.sha256, "same_as_before": elf.sha256 == before[name]}
        for name, elf in made.items()
    ]
    same = all(row["same_as_before"] for row in rows)
    return {"ok": same or not check, "programs": rows}, Exit.CHECK_FAILED if check and not same else Exit.OK


def show_build(body: Body) -> None:
    """The hashes for a person."""
    for row in body["programs"]:
        note = "as before" if row["same_as_before"] else "[yellow]differs from what was there[/]"
        stdout.print(f"{row['sha256']}  {row['name']}.so, {row['bytes']} bytes, {note}")


def _recorded(text: str) -> dict[str, str]:
    rows = [line.split() for line in text.splitlines()]
    return {name: digest for digest, name in rows}


def _hash_or_none(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
