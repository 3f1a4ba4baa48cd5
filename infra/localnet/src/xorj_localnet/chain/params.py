"""Reading JSON-RPC parameters strictly: positions, then the config object. Every mistake is an ``RpcFault`` -32602."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

from solders.pubkey import Pubkey
from solders.signature import Signature

from xorj_localnet.chain.encodings import DataSlice, Encoding
from xorj_localnet.chain.faults import Json, invalid_params
from xorj_localnet.chain.slots import Commitment

E = TypeVar("E", bound=Enum)
_U64_END = 1 << 64


class Config:
    """The optional config object of a method."""

    __slots__ = ("_members",)

    def __init__(self, value: Json) -> None:
        if value is not None and not isinstance(value, dict):
            raise invalid_params("Invalid params: expected a config object")
        self._members: dict[str, Json] = value or {}

    def raw(self, name: str) -> Json:
        """A member as it came; ``None`` when absent."""
        return self._members.get(name)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean member."""
        value = self._members.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise invalid_params(f"Invalid params: {name} must be a boolean")
        return value

    def number(self, name: str) -> int | None:
        """An unsigned 64-bit member."""
        value = self._members.get(name)
        return None if value is None else unsigned(value, name)

    def commitment(self, default: Commitment = Commitment.FINALIZED, name: str = "commitment") -> Commitment:
        """A commitment member; a node's default is finalized."""
        value = self._members.get(name)
        return default if value is None else _member_of(Commitment, value, name)

    def encoding(self, default: Encoding) -> Encoding:
        """An account encoding member."""
        value = self._members.get("encoding")
        return default if value is None else _member_of(Encoding, value, "encoding")

    def data_slice(self) -> DataSlice | None:
        """The ``dataSlice`` member."""
        value = self._members.get("dataSlice")
        if value is None:
            return None
        if not isinstance(value, dict):
            raise invalid_params("Invalid params: dataSlice must be an object")
        return DataSlice(unsigned(value.get("offset"), "offset"), unsigned(value.get("length"), "length"))


class Params:
    """The positional parameters of a request."""

    __slots__ = ("_items",)

    def __init__(self, value: Json) -> None:
        if value is None:
            value = []
        if not isinstance(value, list):
            raise invalid_params("`params` should be an array")
        self._items = value

    def at(self, index: int) -> Json:
        """A parameter as it came; ``None`` when absent."""
        return self._items[index] if index < len(self._items) else None

    def text(self, index: int) -> str:
        """A string parameter."""
        value = self.at(index)
        if not isinstance(value, str):
            raise invalid_params(f"Invalid params: parameter {index} must be a string")
        return value

    def texts(self, index: int, limit: int) -> list[str]:
        """A list of at most ``limit`` strings."""
        return strings(self.at(index), limit)

    def number(self, index: int) -> int:
        """An unsigned 64-bit parameter."""
        return unsigned(self.at(index), f"parameter {index}")

    def pubkey(self, index: int) -> Pubkey:
        """An address parameter."""
        return pubkey(self.text(index))

    def signature(self, index: int) -> Signature:
        """A signature parameter."""
        return signature(self.text(index))

    def config(self, index: int) -> Config:
        """The config object at ``index``."""
        return Config(self.at(index))


def pubkey(text: str) -> Pubkey:
    """An address from base58."""
    try:
        return Pubkey.from_string(text)
    except ValueError as error:
        reason = "WrongSize" if "size" in str(error) else "Invalid"
        raise invalid_params(f"Invalid param: {reason}") from error


def signature(text: str) -> Signature:
    """A signature from base58."""
    try:
        return Signature.from_string(text)
    except ValueError as error:
        reason = "WrongSize" if "size" in str(error) else "Invalid"
        raise invalid_params(f"Invalid param: {reason}") from error


def strings(value: Json, limit: int) -> list[str]:
    """A list of at most ``limit`` strings."""
    if not isinstance(value, list):
        raise invalid_params("Invalid params: expected a sequence")
    if len(value) > limit:
        raise invalid_params(f"Too many inputs provided; max {limit}")
    found = [item for item in value if isinstance(item, str)]
    if len(found) != len(value):
        raise invalid_params("Invalid params: expected strings")
    return found


def unsigned(value: Json, name: str) -> int:
    """An unsigned 64-bit number."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _U64_END:
        raise invalid_params(f"Invalid params: {name} must be an unsigned 64-bit number")
    return value


def _member_of(kind: type[E], value: Json, name: str) -> E:
    try:
        return kind(value)
    except ValueError as error:
        raise invalid_params(f"Invalid params: unknown variant `{value}` for {name}") from error
