"""Core facts and protobuf messages agree, both ways."""

import dataclasses
import typing
from typing import Any

import pytest
from xorj.envelope.v1.envelope_pb2 import Envelope as EnvelopeMessage
from xorj_contracts import codec
from xorj_contracts.codec import Envelope, Undecodable, decode, encode, message_class
from xorj_core.canonical import canonical_bytes
from xorj_core.facts import Fact, fact_id
from xorj_core.facts.prices import ReferencePriceObserved

from tests.contracts.fact_examples import FACT_CLASSES, example, examples


def envelope_of(fact: Fact) -> Envelope:
    return Envelope(fact_id(fact), (b"\x01" * 32,), b"\x02" * 32, "executor/1", "test", 7, 1, "00-1-2-01")


@pytest.mark.parametrize("fact", examples(), ids=lambda f: type(f).__name__)
def test_every_fact_survives_the_codec(fact: Fact) -> None:
    decoded = decode(encode(envelope_of(fact), fact))
    assert decoded.fact == fact
    assert decoded.envelope == envelope_of(fact)


@pytest.mark.parametrize("cls", FACT_CLASSES, ids=lambda c: c.__name__)
def test_fact_and_message_have_the_same_fields_in_the_same_order(cls: type[Any]) -> None:
    def compare(core: type[Any]) -> None:
        by_number = message_class(core).DESCRIPTOR.fields_by_number
        message_fields = [by_number[number].name for number in sorted(by_number)]
        assert [f.name for f in dataclasses.fields(core)] == message_fields, core
        for hint in typing.get_type_hints(core).values():
            inner = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else hint
            if dataclasses.is_dataclass(inner):
                compare(typing.cast(type[Any], inner))

    compare(cls)


@pytest.mark.parametrize("cls", FACT_CLASSES, ids=lambda c: c.__name__)
def test_changing_any_field_changes_the_canonical_bytes(cls: type[Any]) -> None:
    fact, other = example(cls), example(cls, seed=100)
    for field in dataclasses.fields(cls):
        if getattr(fact, field.name) != getattr(other, field.name):
            changed = dataclasses.replace(fact, **{field.name: getattr(other, field.name)})
            assert canonical_bytes("test", changed) != canonical_bytes("test", fact), field.name


def test_unknown_fields_survive_a_message_that_an_older_build_reads_and_writes() -> None:
    fact = example(ReferencePriceObserved)
    newer = EnvelopeMessage.FromString(encode(envelope_of(fact), fact)).SerializeToString() + b"\xfa\x3e\x03new"
    assert decode(newer).fact == fact
    assert EnvelopeMessage.FromString(newer).SerializeToString().endswith(b"\xfa\x3e\x03new")
    message = codec.to_message(fact).SerializeToString() + b"\xfa\x3e\x03new"
    read = message_class(ReferencePriceObserved).FromString(message)
    assert codec.from_message(ReferencePriceObserved, read) == fact
    assert read.SerializeToString() == message


@pytest.mark.parametrize(
    "value",
    [None, b"", b"\xff" * 40, b"\x00", b"hello", b"\x12\x05ab\xff\xfe\xfd", b"x" * (codec.RECORD_BYTES_MAX + 1)],
    ids=["none", "empty", "garbage", "zero", "text", "bad utf-8", "too long"],
)
def test_bad_bytes_are_undecodable(value: bytes | None) -> None:
    with pytest.raises(Undecodable):
        decode(value)


def test_a_fact_under_a_foreign_id_is_undecodable() -> None:
    fact = example(ReferencePriceObserved)
    forged = dataclasses.replace(envelope_of(fact), fact_id=b"\x09" * 32)
    with pytest.raises(Undecodable, match="fact id"):
        decode(encode(forged, fact))


def test_an_unknown_fact_type_and_an_unknown_enum_value_are_undecodable() -> None:
    with pytest.raises(Undecodable, match="unknown fact type"):
        decode(EnvelopeMessage(type="xorj.prices.v9.Nothing", fact=b"").SerializeToString())
    for cls in FACT_CLASSES:
        message = message_class(cls)()
        for field in message.DESCRIPTOR.fields:
            if field.enum_type is not None and field.is_repeated is False:
                setattr(message, field.name, 99)
                with pytest.raises(Undecodable, match="99"):
                    codec.from_message(cls, message)
                break
