"""What exists in the local cluster before its first slot: programs with their upgrade authority, and accounts.

1. A genesis file is read whole and strictly before anything is loaded; an unknown key is an error.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from solders.account import Account
from solders.pubkey import Pubkey

from xorj_localnet.chain.faults import Json


class GenesisError(ValueError):
    """The genesis file cannot be used; the text says where."""


@dataclass(frozen=True, slots=True)
class GenesisProgram:
    """An upgradeable program: its id, its ELF bytes and who may upgrade it."""

    program_id: Pubkey
    elf: bytes
    upgrade_authority: Pubkey | None


@dataclass(frozen=True, slots=True)
class Genesis:
    """Programs and accounts of the first slot."""

    programs: tuple[GenesisProgram, ...] = ()
    accounts: tuple[tuple[Pubkey, Account], ...] = ()


def read_genesis(path: Path) -> Genesis:
    """Genesis from a JSON file; relative ``so_path`` is relative to that file. Raises ``GenesisError``."""
    try:
        document = cast("Json", json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise GenesisError(f"genesis file {path}: {error}") from error
    if not isinstance(document, dict) or set(document) - {"programs", "accounts"}:
        raise GenesisError(f"genesis file {path}: expected an object with programs and accounts only")
    programs = _entries(document.get("programs"), "programs")
    accounts = _entries(document.get("accounts"), "accounts")
    return Genesis(
        programs=tuple(_program(entry, path.parent) for entry in programs),
        accounts=tuple((_pubkey(entry, "pubkey"), account_from_json(entry)) for entry in accounts),
    )


def account_from_json(entry: dict[str, Json]) -> Account:
    """An account from ``{lamports, owner, data_base64, executable}``; raises ``GenesisError``."""
    lamports, executable, data = entry.get("lamports"), entry.get("executable", False), entry.get("data_base64", "")
    if not isinstance(lamports, int) or isinstance(lamports, bool) or not 0 <= lamports < 1 << 64:
        raise GenesisError("lamports must be an unsigned 64-bit number")
    if not isinstance(executable, bool) or not isinstance(data, str):
        raise GenesisError("executable must be true or false, data_base64 a string")
    try:
        raw = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise GenesisError(f"data_base64: {error}") from error
    return Account(lamports, raw, _pubkey(entry, "owner"), executable, (1 << 64) - 1)


def _entries(value: Json, name: str) -> list[dict[str, Json]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise GenesisError(f"{name} must be a list")
    entries = [entry for entry in value if isinstance(entry, dict)]
    if len(entries) != len(value):
        raise GenesisError(f"every entry of {name} must be an object")
    return entries


def _program(entry: dict[str, Json], folder: Path) -> GenesisProgram:
    so_path = entry.get("so_path")
    if not isinstance(so_path, str):
        raise GenesisError("so_path must be a string")
    try:
        elf = (folder / so_path).read_bytes()
    except OSError as error:
        raise GenesisError(f"program file {so_path}: {error}") from error
    authority = None if entry.get("upgrade_authority") is None else _pubkey(entry, "upgrade_authority")
    return GenesisProgram(_pubkey(entry, "program_id"), elf, authority)


def _pubkey(entry: dict[str, Json], name: str) -> Pubkey:
    value = entry.get(name)
    if not isinstance(value, str):
        raise GenesisError(f"{name} must be a base58 string")
    try:
        return Pubkey.from_string(value)
    except ValueError as error:
        raise GenesisError(f"{name}: {error}") from error
