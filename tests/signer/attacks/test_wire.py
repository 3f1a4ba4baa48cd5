"""Attacks on the socket itself: callers, sizes, deadlines, garbage, and connections that never say anything."""

import asyncio
import gzip
import os

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from xorj.signer.v1 import signer_pb2, signer_pb2_grpc
from xorj_contracts.codec import position_to_message

from tests.signer.attacks.fortress import Fortress
from tests.signer.rig import RefusedCall, channel_of, refusal_of
from tests.signer.trades import honest_trade

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIGN = "/xorj.signer.v1.Signer/SignTrade"
STRANGERS = ("ingestor", "reconciler", "auditor", "operator", "admin", "broker", "signer")


async def raw(
    fortress: Fortress, data: bytes, *, method: str = SIGN, compression: grpc.Compression | None = None
) -> bytes:
    """One call with exactly these bytes."""
    async with channel_of(fortress.running.world, fortress.running.address, "executor") as channel:
        call = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
        return bytes(await call(data, timeout=5, compression=compression))


@pytest.mark.parametrize("caller", STRANGERS)
async def test_no_other_service_may_ask(fortress: Fortress, caller: str) -> None:
    positions = await fortress.publish_trade(honest_trade(fortress.bot))
    with pytest.raises(RefusedCall) as refused:
        await fortress.ask(*positions, caller=caller)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")


async def test_a_call_without_a_deadline_is_refused(fortress: Fortress) -> None:
    positions = await fortress.publish_trade(honest_trade(fortress.bot))
    with pytest.raises(RefusedCall) as refused:
        await fortress.ask(*positions, timeout_s=None)
    assert refused.value.reason == "BAD_REQUEST"


async def test_a_call_that_has_no_time_left_gets_no_signature(fortress: Fortress) -> None:
    """It may end by its deadline or by a refusal; a signature that was made is on the log in any case."""
    trade = honest_trade(fortress.bot)
    fortress.lawful(trade.plan)
    positions = await fortress.publish_trade(trade)
    codes = set()
    for timeout_s in (0.0001, 0.001, 0.002, 0.005, 0.01):
        try:
            answer = await fortress.ask(*positions, timeout_s=timeout_s)
        except RefusedCall as refused:
            codes.add(refused.code)
        else:
            assert answer.signature in {fact.signature for fact in await fortress.signed()}
    assert codes <= {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}
    assert isinstance(await fortress.running.answer(positions), signer_pb2.SignTradeResponse)


@pytest.mark.parametrize("size", [16 * 1024 + 64, 1024 * 1024, 5 * 1024 * 1024])
async def test_a_message_that_is_too_large_is_not_read(fortress: Fortress, size: int) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await raw(fortress, os.urandom(size))
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_message_that_grows_when_unpacked_is_not_read(fortress: Fortress) -> None:
    bomb = bytes(8 * 1024 * 1024)
    assert len(gzip.compress(bomb)) < 16 * 1024
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await raw(fortress, bomb, compression=grpc.Compression.Gzip)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x00\x12\x00", os.urandom(2_000)],
    ids=range(5),
)
async def test_garbage_instead_of_a_request_gets_an_error(fortress: Fortress, data: bytes) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await raw(fortress, data)
    refused = refusal_of(error.value)
    assert refused.reason in ("BAD_REQUEST", "RECORD_NOT_FOUND")
    assert refused.code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE)


async def test_unread_fields_and_long_traces_change_nothing(fortress: Fortress) -> None:
    trade = honest_trade(fortress.bot)
    positions, signed = await fortress.sign(trade)
    intent, attempt = (position_to_message(position) for position in positions)
    request = signer_pb2.SignTradeRequest(intent=intent, attempt=attempt, traceparent="\n\0{}" * 1_000)
    unknown = b"\xfa\x07\x08" + b"\x01" * 8  # field 127, which nobody has defined
    answer = signer_pb2.SignTradeResponse.FromString(await raw(fortress, request.SerializeToString() + unknown))
    assert answer == signed


@pytest.mark.parametrize(
    "method",
    [
        "/xorj.signer.v1.Signer/SignMessage",
        "/xorj.signer.v1.Signer/",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/grpc.channelz.v1.Channelz/GetServers",
    ],
)
async def test_there_is_nothing_else_to_call(fortress: Fortress, method: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await raw(fortress, b"", method=method)
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_connections_that_say_nothing_starve_nobody(fortress: Fortress) -> None:
    """Sockets that never finish their handshake, and watchers of health that never leave."""
    host, port = fortress.running.address.rsplit(":", 1)
    silent = await asyncio.gather(*(asyncio.open_connection(host, int(port)) for _ in range(100)))
    for _, writer in silent[:50]:
        writer.write(b"\x16\x03\x01\x02\x00")
    async with channel_of(fortress.running.world, fortress.running.address, "ingestor") as channel:
        asked = health_pb2.HealthCheckRequest(service="xorj.signer.v1.Signer")
        watchers = [health_pb2_grpc.HealthStub(channel).Watch(asked, timeout=30) for _ in range(200)]
        for watcher in watchers:
            assert (await watcher.read()).status == health_pb2.HealthCheckResponse.SERVING
        await fortress.sign(honest_trade(fortress.bot))
        for watcher in watchers:
            watcher.cancel()
    for _, writer in silent:
        writer.close()


async def test_callers_that_hang_up_leave_no_unknown_signature(fortress: Fortress) -> None:
    trades = [honest_trade(fortress.bot) for _ in range(20)]
    fortress.lawful(*(trade.plan for trade in trades))
    positions = [await fortress.publish_trade(trade) for trade in trades]
    async with channel_of(fortress.running.world, fortress.running.address, "executor") as channel:
        calls = []
        for pair in positions:
            intent, attempt = (position_to_message(position) for position in pair)
            request = signer_pb2.SignTradeRequest(intent=intent, attempt=attempt)
            calls.append(signer_pb2_grpc.SignerStub(channel).SignTrade(request, timeout=10))
        for number, call in enumerate(calls):
            await asyncio.sleep(0 if number % 3 else 0.01)
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    answers = await asyncio.gather(*(fortress.running.answer(pair) for pair in positions))
    known = {fact.signature for fact in await fortress.signed()}
    assert {a.signature for a in answers if isinstance(a, signer_pb2.SignTradeResponse)} <= known
    assert not [answer for answer in answers if isinstance(answer, RefusedCall)]
