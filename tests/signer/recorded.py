"""Real transactions of others as a validator received them: messages put together again from recorded RPC answers."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from solders.message import MessageV0, from_bytes_versioned
from xorj_core.base58 import address_bytes
from xorj_core.facts import LookupTable
from xorj_core.solana_message import Instruction, Lookup, Message, serialise

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message, and its lookup tables as far as it reads them."""

    name: str
    message: bytes
    tables: tuple[LookupTable, ...]


def recorded_messages() -> list[Recorded]:
    """Every recorded v0 transaction whose instructions were kept as bytes; skips the test without recordings."""
    named = os.environ.get("XORJ_RECORDED_DATA", "")
    if not named:
        pytest.skip("XORJ_RECORDED_DATA names no directory of recorded data")
    found = []
    for path in sorted((Path(named) / "solana_rpc" / "transactions").glob("*.json")):
        body = json.loads(path.read_text())
        answer = body[0] if isinstance(body, list) else body
        answer = answer.get("result", answer)
        if answer.get("version") == 0:
            found.append(_recorded(path.stem, answer))
    assert found
    return found


def _recorded(name: str, answer: dict[str, Any]) -> Recorded:
    body = answer["transaction"]["message"]
    header = body["header"]
    message = Message(
        required_signatures=header["numRequiredSignatures"],
        readonly_signed=header["numReadonlySignedAccounts"],
        readonly_unsigned=header["numReadonlyUnsignedAccounts"],
        static_keys=tuple(address_bytes(key) for key in body["accountKeys"]),
        blockhash=address_bytes(body["recentBlockhash"]),
        instructions=tuple(
            Instruction(item["programIdIndex"], tuple(item["accounts"]), _base58(item["data"]))
            for item in body["instructions"]
        ),
        lookups=tuple(
            Lookup(address_bytes(item["accountKey"]), tuple(item["writableIndexes"]), tuple(item["readonlyIndexes"]))
            for item in body["addressTableLookups"]
        ),
    )
    data = serialise(message)
    assert isinstance(from_bytes_versioned(data), MessageV0)  # another reader takes it for one, too
    return Recorded(name, data, _tables(message, answer["meta"]["loadedAddresses"]))


def _tables(message: Message, loaded: dict[str, list[str]]) -> tuple[LookupTable, ...]:
    entries: dict[bytes, dict[int, bytes]] = {lookup.table: {} for lookup in message.lookups}
    for kind in ("writable", "readonly"):
        addresses = iter(loaded[kind])
        for lookup in message.lookups:
            for index in lookup.writable_indexes if kind == "writable" else lookup.readonly_indexes:
                entries[lookup.table][index] = address_bytes(next(addresses))
    return tuple(
        LookupTable(table, tuple(known.get(index, bytes(32)) for index in range(max(known) + 1)))
        for table, known in entries.items()
    )


def _base58(text: str) -> bytes:
    number = 0
    for letter in text:
        number = number * 58 + _ALPHABET.index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
