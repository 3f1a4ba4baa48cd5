"""What the socket answers to what is no request, how refusals become known, and certificates that change under way."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest
from xorj.signer.v1 import signer_pb2, signer_pb2_grpc
from xorj_core.facts import Fact, SigningRefused, TradeSigned
from xorj_core.facts.common import Position
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_localnet.certificates import issue_certificates
from xorj_log.writer import PublishUnknown
from xorj_signer.refusals import BURST_MAX, Refusal, Refusals
from xorj_signer.wire import MESSAGE_BYTES_MAX

from tests.signer.rig import RefusedCall, Rig, refusal_of
from tests.signer.trades import honest_trade

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIGN = "/xorj.signer.v1.Signer/SignTrade"


async def refused_bytes(rig: Rig, data: bytes, method: str = SIGN) -> RefusedCall:
    """How the server refuses these bytes."""
    async with rig.channel("executor") as channel:
        call = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(data, timeout=5)
    return refusal_of(error.value)


@pytest.mark.parametrize(
    ("data", "method", "code"),
    [
        (b"\xff" * 40, SIGN, grpc.StatusCode.INVALID_ARGUMENT),
        (b"", SIGN, grpc.StatusCode.INVALID_ARGUMENT),
        (bytes(MESSAGE_BYTES_MAX + 1), SIGN, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (b"", "/xorj.signer.v1.Signer/SignMessage", grpc.StatusCode.UNIMPLEMENTED),
        (b"", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", grpc.StatusCode.UNIMPLEMENTED),
    ],
    ids=["garbage", "empty", "too large", "unknown method", "reflection"],
)
async def test_what_is_no_request_is_refused_with_a_reason(
    rig: Rig, data: bytes, method: str, code: grpc.StatusCode
) -> None:
    refused = await refused_bytes(rig, data, method)
    assert (refused.code, refused.reason) == (code, "BAD_REQUEST")


async def test_refusals_without_records_stand_on_the_log_without_ids(rig: Rig) -> None:
    intent, attempt = await rig.publish_trade(honest_trade(rig.bot))
    await rig.signing.refusals.flush()  # what earlier tests were refused for
    before = len(await refusals(rig))
    missing = dataclasses.replace(attempt, offset=attempt.offset + 1_000)
    for asked in (
        rig.ask(intent, missing, timeout_s=0.5),
        rig.ask(intent, attempt, caller="reconciler"),
        rig.ask(intent, attempt, timeout_s=None),
    ):
        with pytest.raises(RefusedCall):
            await asked
    await rig.signing.refusals.flush()  # one that is like another a moment ago waits for the end of the period
    told = (await refusals(rig))[before:]
    assert sorted((fact.reason.name, fact.caller) for fact in told) == [
        ("BAD_REQUEST", "executor"),
        ("CALLER_NOT_ALLOWED", "reconciler"),
        ("RECORD_NOT_FOUND", "executor"),
    ]
    assert {(fact.intent_id, fact.vault, fact.requests) for fact in told} == {(b"", b"", 1)}


async def test_a_refusal_comes_before_the_callers_deadline(rig: Rig) -> None:
    intent, attempt = await rig.publish_trade(honest_trade(rig.bot))
    with pytest.raises(RefusedCall) as refused:
        await rig.ask(intent, dataclasses.replace(attempt, offset=attempt.offset + 5_000), timeout_s=0.6)
    assert refused.value.reason == "RECORD_NOT_FOUND"


async def test_many_calls_at_once_for_one_attempt_publish_one_fact(rig: Rig) -> None:
    trade = honest_trade(rig.bot)
    positions = await rig.publish_trade(trade)
    answers = await asyncio.gather(*(rig.ask(*positions) for _ in range(32)))
    assert len({(answer.signature, answer.signed.offset) for answer in answers}) == 1
    signed = [f for f in await rig.log_of("signed-txs") if isinstance(f, TradeSigned) and f.vault == trade.plan.vault]
    assert len(signed) == 1


async def refusals(rig: Rig) -> list[SigningRefused]:
    return [fact for fact in await rig.log_of("signed-txs") if isinstance(fact, SigningRefused)]


class _Log:
    """Keeps what is published; `broken` makes it fail."""

    def __init__(self) -> None:
        self.facts: list[SigningRefused] = []
        self.broken = False

    async def publish(
        self, fact: Fact, *, causation: Sequence[bytes] = (), traceparent: str = "", decision_version: int = 0
    ) -> Position:
        if self.broken:
            raise PublishUnknown("the broker is gone")
        assert isinstance(fact, SigningRefused)
        self.facts.append(fact)
        return Position("c", "signed-txs", 0, len(self.facts))


async def test_a_flood_of_refusals_is_counted_whole_in_few_facts() -> None:
    log = _Log()
    told = Refusals(log, clock_s=lambda: 0.5)
    for number in range(500):
        attempt = number.to_bytes(32, "big")
        await told.tell(Refusal("executor", Reason.VALUE_CAP, "too much", attempt, attempt, attempt, 1))
    for _ in range(500):
        await told.tell(Refusal("ingestor", Reason.CALLER_NOT_ALLOWED, "may not ask"))
    assert len(log.facts) == BURST_MAX + 1
    await told.flush()
    assert len(log.facts) == BURST_MAX + 3
    requests = {name: sum(f.requests for f in log.facts if f.caller == name) for name in ("executor", "ingestor")}
    assert requests == {"executor": 500, "ingestor": 500}


async def test_refusals_that_could_not_be_published_are_published_later() -> None:
    log = _Log()
    told = Refusals(log)
    log.broken = True
    await told.tell(Refusal("executor", Reason.KILLED, "killed"))
    await told.flush()
    log.broken = False
    await told.flush()
    assert [(fact.reason, fact.requests) for fact in log.facts] == [(Reason.KILLED, 1)]


class _SlowLog(_Log):
    """Keeps nothing before it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed = asyncio.Event()

    async def publish(
        self, fact: Fact, *, causation: Sequence[bytes] = (), traceparent: str = "", decision_version: int = 0
    ) -> Position:
        await self.allowed.wait()
        return await super().publish(fact, causation=causation, traceparent=traceparent)


async def test_a_log_that_is_slow_holds_no_refusal_back_and_loses_none() -> None:
    log = _SlowLog()
    told = Refusals(log)
    await told.tell(Refusal("executor", Reason.VALUE_CAP, "too much"), wait_s=0)
    leaving = asyncio.create_task(told.tell(Refusal("executor", Reason.KILLED, "killed"), wait_s=60))
    await asyncio.sleep(0)
    leaving.cancel()
    log.allowed.set()
    await told.flush()
    assert sorted(fact.reason.name for fact in log.facts) == ["KILLED", "VALUE_CAP"]


async def test_certificates_are_renewed_without_a_restart(rig: Rig, tmp_path: Path) -> None:
    """A new authority: old clients stay outside from then on, new ones come in; unfit files change nothing."""
    issued = issue_certificates(tmp_path)
    own = rig.world.certificates.of("signer")
    kept = {path: path.read_bytes() for path in (own.key_file, own.certificate_file, own.ca_file)}
    new = issued.of("signer")
    try:
        own.certificate_file.write_bytes(b"half written")
        assert await answers(rig.channel("executor"), rig.bot)
        for path, source in zip(kept, (new.key_file, new.certificate_file, new.ca_file), strict=True):
            path.write_bytes(source.read_bytes())
        old = grpc.aio.secure_channel(
            rig.address,
            grpc.ssl_channel_credentials(
                kept[own.ca_file],
                rig.world.certificates.of("executor").key_file.read_bytes(),
                rig.world.certificates.of("executor").certificate_file.read_bytes(),
            ),
        )
        assert not await answers(old, rig.bot)
        caller = issued.of("executor")
        files = (caller.ca_file, caller.key_file, caller.certificate_file)
        credentials = grpc.ssl_channel_credentials(*(path.read_bytes() for path in files))
        assert await answers(grpc.aio.secure_channel(rig.address, credentials), rig.bot)
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    assert await answers(rig.channel("executor"), rig.bot)


async def answers(channel: "grpc.aio.Channel", key: bytes) -> bool:
    """Whether the server lets this client in."""
    async with channel:
        with contextlib.suppress(grpc.aio.AioRpcError):
            request = signer_pb2.GetPublicKeysRequest()
            told = await signer_pb2_grpc.SignerStub(channel).GetPublicKeys(request, timeout=3)
            return bool(told.keys[0].public_key == key)
    return False
