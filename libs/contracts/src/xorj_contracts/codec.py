"""The one codec between record values and core facts.

1. A fact class and the message of the same name hold the same fields; the correspondence is derived, never written
   twice.
2. Bad bytes raise `Undecodable` with a reason and nothing else.
3. Hashes and signatures are made over bytes received or canonical bytes, never over what `encode` returns.
"""

import dataclasses
import functools
import importlib
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message
from xorj.common.v1.common_pb2 import Position as PositionMessage
from xorj.envelope.v1.envelope_pb2 import Envelope as EnvelopeMessage
from xorj_core import facts
from xorj_core.facts import Fact
from xorj_core.facts.common import Position

RECORD_BYTES_MAX = 256 * 1024
"""Longer record values are refused unread (the largest lawful fact, a ranking of 50 traders, is under 64 KiB)."""

_LENGTHS = {"command_id": (16,), "key_id": (8,), "signature": (0, 64), "owner_signature": (0, 64)}
_KEYS_32 = re.compile(
    r"^(vault|owner|mint|mint_in|mint_out|trader|wallet|blockhash|head|\w+_sha256|\w*(fact|trade|intent|delta)_id)$"
)


R = TypeVar("R")


def _per_class(function: Callable[[type[Any]], R]) -> Callable[[type[Any]], R]:
    """Remembers the answer for each class (functools.cache, typed for classes)."""
    answers: dict[type[Any], R] = {}

    def remembered(cls: type[Any]) -> R:
        if cls not in answers:
            answers[cls] = function(cls)
        return answers[cls]

    return functools.update_wrapper(remembered, function)


class Undecodable(ValueError):
    """A record value that is no known fact; the message says why."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is known about a fact beside its content (proto/xorj/envelope/v1)."""

    fact_id: bytes
    causation_ids: tuple[bytes, ...]
    trade_id: bytes  # 32 bytes, or empty
    producer: str
    build: str
    decided_at_us: int
    decision_version: int
    traceparent: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """A fact with its envelope."""

    envelope: Envelope
    fact: Fact


def encode(envelope: Envelope, fact: Fact) -> bytes:
    """The record value for a fact."""
    return EnvelopeMessage(
        type=message_class(type(fact)).DESCRIPTOR.full_name,
        fact=to_message(fact).SerializeToString(),
        **{f.name: getattr(envelope, f.name) for f in dataclasses.fields(Envelope)},
    ).SerializeToString()


def decode(value: bytes | None) -> Decoded:
    """The fact in a record value; raises `Undecodable` for anything else."""
    if not value:
        raise Undecodable("empty value")
    if len(value) > RECORD_BYTES_MAX:
        raise Undecodable(f"{len(value)} bytes, at most {RECORD_BYTES_MAX}")
    try:
        message = EnvelopeMessage.FromString(value)
        cls = _fact_classes().get(message.type)
        if cls is None:
            raise Undecodable(f"unknown fact type {message.type[:100]!r}")
        fact = from_message(cls, message_class(cls).FromString(message.fact))
    except (DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not a protobuf message: {error}") from error
    if message.fact_id != facts.fact_id(fact):
        raise Undecodable("fact id does not follow from the fact's causes")
    envelope = Envelope(
        fact_id=message.fact_id,
        causation_ids=tuple(message.causation_ids),
        trade_id=message.trade_id,
        producer=message.producer,
        build=message.build,
        decided_at_us=message.decided_at_us,
        decision_version=message.decision_version,
        traceparent=message.traceparent,
    )
    return Decoded(envelope, fact)


def fact_type(value: bytes | None) -> str:
    """The name of the fact in a record value by its envelope alone, "" if unreadable: to skip by, never to trust."""
    try:
        return EnvelopeMessage.FromString(value or b"").type.rpartition(".")[2]
    except DecodeError:
        return ""


def position_to_message(position: Position) -> PositionMessage:
    """A position as the signer's gRPC carries it."""
    return typing.cast(PositionMessage, to_message(position))


def position_from_message(message: PositionMessage) -> Position:
    """The position in a gRPC message; raises `Undecodable`."""
    return typing.cast(Position, from_message(Position, message))


def to_message(value: Any) -> Message:
    """The protobuf message of a core dataclass."""
    cls = type(value)
    fields = {field.name: field.written(getattr(value, field.name)) for field in _fields(cls)}
    return message_class(cls)(**fields)


def from_message(cls: type[Any], message: Message) -> Any:
    """The core dataclass of a protobuf message; raises `Undecodable` for values that the class does not know."""
    return cls(*[field.read(getattr(message, field.name)) for field in _fields(cls)])


class _Field(typing.NamedTuple):
    """One field of a core class, and how its value goes from a message and into one."""

    name: str
    read: Callable[[Any], Any]
    written: Callable[[Any], Any]


@_per_class
def _fields(cls: type[Any]) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(cls)
    return tuple(
        _Field(f.name, _reader(f.name, hints[f.name]), _writer(hints[f.name])) for f in dataclasses.fields(cls)
    )


def _reader(name: str, hint: Any) -> Callable[[Any], Any]:
    if typing.get_origin(hint) is tuple:
        item = _reader(name, typing.get_args(hint)[0])
        return tuple if item is _as_it_is else lambda values: tuple([item(value) for value in values])
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return functools.partial(_enum, hint, name)
    if dataclasses.is_dataclass(hint):
        return functools.partial(from_message, typing.cast(type[Any], hint))
    lengths = _LENGTHS.get(name) or ((32,) if _KEYS_32.match(name) else None)
    if hint is bytes and lengths:
        # An absent key is empty: which ones may be absent is the reader's to judge.
        return functools.partial(_bytes, name, frozenset((*lengths, 0)))
    return _as_it_is


def _writer(hint: Any) -> Callable[[Any], Any]:
    if typing.get_origin(hint) is tuple:
        item = _writer(typing.get_args(hint)[0])
        return _as_it_is if item is _as_it_is else lambda values: [item(value) for value in values]
    return to_message if dataclasses.is_dataclass(hint) else _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _enum(hint: type[IntEnum], name: str, value: int) -> IntEnum:
    try:
        return hint(value)
    except ValueError as error:
        raise Undecodable(f"{name}: {value} is no {hint.__name__}") from error


def _bytes(name: str, lengths: frozenset[int], value: bytes) -> bytes:
    if len(value) not in lengths:
        raise Undecodable(f"{name}: {len(value)} bytes")
    return value


@_per_class
def message_class(cls: type[Any]) -> type[Message]:
    """The generated message of a core class: its topic's package, and the file or the message it is nested in."""
    package = cls.__module__.rsplit(".", 1)[-1]
    if package == "common":
        module = importlib.import_module("xorj.common.v1.common_pb2")
        return typing.cast(type[Message], getattr(module, cls.__name__))
    top = importlib.import_module(cls.__module__)
    for owner in vars(top).values():
        if not (isinstance(owner, type) and hasattr(owner, "CAUSE")):
            continue
        snake = re.sub(r"(?<!^)(?=[A-Z])", "_", owner.__name__).lower()
        module = importlib.import_module(f"xorj.{package}.v1.{snake}_pb2")
        message = getattr(module, owner.__name__)
        found = message if owner is cls else getattr(message, cls.__name__, None)
        if found is not None:
            return typing.cast(type[Message], found)
    raise LookupError(f"no message for {cls.__name__}")


@functools.cache
def _fact_classes() -> dict[str, type[Any]]:
    """Fact classes by the full name of their message."""
    union: types.UnionType = facts.Fact
    return {message_class(cls).DESCRIPTOR.full_name: cls for cls in typing.get_args(union)}
