"""The canonical bytes of a fact: what signatures cover and what ids are made of.

1. Two facts of one class have the same canonical bytes only if every field is equal.
2. The encoding depends on field order and values alone, never on protobuf (whose serialisation is not canonical).
"""

import dataclasses
from enum import IntEnum
from typing import Any

from xorj_core.ids import digest


def canonical_bytes(domain: str, fact: Any, *, without: tuple[str, ...] = ()) -> bytes:
    """32 bytes that commit to every field of the dataclass `fact` but those named in `without`.

    Raises TypeError for a value of a kind that facts do not hold (a float, None, a dict).
    """
    fields = [f for f in dataclasses.fields(fact) if f.name not in without]
    return digest(domain, type(fact).__name__.encode(), *(encode_value(getattr(fact, f.name)) for f in fields))


def encode_value(value: Any) -> bytes:
    """One value as tagged bytes; nested values are length-prefixed."""
    if isinstance(value, bool):
        return b"b" + bytes([value])
    if isinstance(value, IntEnum):
        return b"e" + int(value).to_bytes(4, "big")
    if isinstance(value, int):
        return b"i" + value.to_bytes(16, "big", signed=True)
    if isinstance(value, bytes):
        return b"y" + value
    if isinstance(value, str):
        return b"s" + value.encode()
    if isinstance(value, tuple):
        return b"t" + _framed([encode_value(item) for item in value])
    if dataclasses.is_dataclass(value):
        return b"d" + _framed([encode_value(getattr(value, f.name)) for f in dataclasses.fields(value)])
    raise TypeError(f"a fact cannot hold {type(value).__name__}")


def _framed(parts: list[bytes]) -> bytes:
    return len(parts).to_bytes(4, "big") + b"".join(len(p).to_bytes(4, "big") + p for p in parts)
