"""`xorj doctor`: what this machine has, what is missing, what it is needed for and how to get it."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from xorj_localnet.database import DatabaseFailed, installed_binaries
from xorj_localnet.jars import missing_jars, read_jar_list
from xorj_localnet.java import NoJava, find_java
from xorj_localnet.paths import KAFKA_JAR_LIST, Home
from xorj_localnet.signing import SignerProvider, choose_signer_provider

from xorj_cli.output import Exit, stdout

PYTHON_MIN = (3, 11)


@dataclass(frozen=True, slots=True)
class Part:
    """One thing a machine may have. `required`: nothing works without it."""

    name: str
    found: bool
    required: bool
    detail: str
    needed_for: str
    how_to_get: str


def examine() -> list[Part]:
    """Every part, looked for now."""
    home = Home.from_environment()
    return [
        _python(),
        _program("make", "the targets of the Makefile", "package make"),
        _java(),
        _jars(home),
        _postgresql(),
        _softhsm(),
        _toolchain(home),
        _recorded_data(),
    ]


def doctor() -> tuple[dict[str, Any], Exit]:
    """All parts as JSON; ok when every required one is there."""
    parts = examine()
    ok = all(part.found for part in parts if part.required)
    return {"ok": ok, "parts": [asdict(part) for part in parts]}, Exit.OK if ok else Exit.CHECK_FAILED


def show_doctor(body: dict[str, Any]) -> None:
    """The parts for a person."""
    table = Table("", "part", "found", "needed for", "how to get it")
    for part in body["parts"]:
        mark = "[green]✓[/]" if part["found"] else "[red]✗[/]" if part["required"] else "[yellow]–[/]"
        table.add_row(
            mark, part["name"], part["detail"], part["needed_for"], "" if part["found"] else part["how_to_get"]
        )
    stdout.print(table)


def _python() -> Part:
    version = platform.python_version()
    return Part(
        "python",
        found=sys.version_info >= PYTHON_MIN,
        required=True,
        detail=version,
        needed_for="everything",
        how_to_get="Python 3.11 or later",
    )


def _program(name: str, needed_for: str, how_to_get: str) -> Part:
    where = shutil.which(name)
    return Part(
        name, found=where is not None, required=False, detail=where or "", needed_for=needed_for, how_to_get=how_to_get
    )


def _java() -> Part:
    try:
        runtime = find_java()
    except NoJava as error:
        return Part(
            "java",
            found=False,
            required=True,
            detail=str(error),
            needed_for="the broker",
            how_to_get="make setup brings one; any from 17 on",
        )
    return Part(
        "java",
        found=True,
        required=True,
        detail=f"{runtime.version} {runtime.program}",
        needed_for="the broker",
        how_to_get="",
    )


def _jars(home: Home) -> Part:
    missing = missing_jars(read_jar_list(KAFKA_JAR_LIST), home.jars)
    detail = f"{len(missing)} missing" if missing else str(home.jars)
    return Part(
        "kafka", found=not missing, required=True, detail=detail, needed_for="the broker", how_to_get="make setup"
    )


def _postgresql() -> Part:
    return _looked_up("postgresql", lambda: str(installed_binaries()), "the databases", "make setup")


def _softhsm() -> Part:
    choice = choose_signer_provider()
    found = choice.provider is SignerProvider.PKCS11
    return Part(
        "softhsm",
        found=found,
        required=False,
        detail=str(choice.softhsm.module) if choice.softhsm else "",
        needed_for="a key in an HSM (else a file)",
        how_to_get="package softhsm2",
    )


def _toolchain(home: Home) -> Part:
    folder = Path(os.environ.get("XORJ_PROGRAM_TOOLS", "") or home.root / "toolchain")
    found = (folder / "root/usr/bin/rustc").exists()
    how = "infra/programs/tools/setup.sh (Debian and cargo)"
    return Part(
        "toolchain",
        found=found,
        required=False,
        detail=str(folder) if found else "",
        needed_for="rebuilding the on-chain programs",
        how_to_get=how,
    )


def _recorded_data() -> Part:
    where = os.environ.get("XORJ_RECORDED_DATA", "")
    found = bool(where) and Path(where).is_dir()
    how = "set XORJ_RECORDED_DATA to such a directory (README, recorded data)"
    return Part(
        "recorded-data",
        found=found,
        required=False,
        detail=where,
        needed_for="tests and demo on recorded data",
        how_to_get=how,
    )


def _looked_up(name: str, look: Callable[[], str], needed_for: str, how_to_get: str) -> Part:
    try:
        return Part(name, found=True, required=True, detail=look(), needed_for=needed_for, how_to_get=how_to_get)
    except DatabaseFailed as error:
        return Part(name, found=False, required=True, detail=str(error), needed_for=needed_for, how_to_get=how_to_get)
