"""The three bare parts that a signature cannot be faster than, each measured by itself with as many callers.

- PKCS#11 (or the file key where there is no SoftHSM): the provider's `sign`, nothing checked.
- mTLS gRPC: a server process that only answers, asked by the same client code as the signer.
- The ledger: reservation and completion of attempts, durable, with the signer's own grouping.
"""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import grpc
from xorj_core.facts import TradeSigned
from xorj_core.facts.common import Position
from xorj_localnet.world import World
from xorj_signer.ledger import Ledger, Reservation
from xorj_signer.providers.settings import ProviderSettings

from xorj_cli.bench import signer_echo
from xorj_cli.bench.load import Load, run_load

MESSAGE_BYTES = 700


async def measure_key(settings: ProviderSettings, count: int, callers: int) -> Load:
    """Signatures of the bare key. Raises ProviderFailed."""
    key = await settings.open()
    message = os.urandom(MESSAGE_BYTES)
    try:
        return await run_load(lambda _: key.sign(message), count, callers)
    finally:
        await key.close()


async def measure_echo(world: World, count: int, callers: int) -> Load:
    """Calls of the bare server. Raises ChildFailed, grpc.RpcError."""
    env = {**world.certificates.of("signer").settings(), "XORJ_READY_FILE": str(world.ready_file("echo"))}
    await world.start_process(world.module_process("echo", signer_echo.__name__, env))
    address = str(world.supervisor.said_when_ready("echo")["address"])
    try:
        async with channel(world, address) as connected:
            call: Any = connected.unary_unary(signer_echo.METHOD)
            request = os.urandom(120)
            return await run_load(lambda _: call(request, timeout=30), count, callers)
    finally:
        await world.end("echo")


async def measure_ledger(dsn: str, count: int, callers: int) -> Load:
    """Reservation and completion of `count` attempts. Raises LEDGER_FAULTS."""
    async with Ledger(dsn) as ledger:

        async def call(number: int) -> None:
            reservation = _reservation(number)
            await ledger.reserve(reservation, lambda *_: None)
            await ledger.complete(_signed(reservation))

        return await run_load(call, count, callers)


def channel(world: World, address: str) -> "grpc.aio.Channel":
    """A connection as the executor's."""
    identity = world.certificates.of("executor")
    files = (identity.ca_file, identity.key_file, identity.certificate_file)
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(*map(Path.read_bytes, files)))


def _reservation(number: int) -> Reservation:
    return Reservation(
        intent_id=os.urandom(32),
        vault=os.urandom(32),
        trade_seq=1,
        attempt=1,
        message_sha256=hashlib.sha256(number.to_bytes(8, "big")).digest(),
        expiry_slot=1_000,
        value_micro_usd=1,
    )


def _signed(reservation: Reservation) -> TradeSigned:
    position = Position("bench", "trade-intents", 0, 0)
    return TradeSigned(
        intent_id=reservation.intent_id,
        trade_id=reservation.intent_id,
        vault=reservation.vault,
        trade_seq=reservation.trade_seq,
        attempt=reservation.attempt,
        message_sha256=reservation.message_sha256,
        transaction=os.urandom(MESSAGE_BYTES + 65),
        signature=os.urandom(64),
        provider="bench",
        policy_sha256=bytes(32),
        intent_position=position,
        attempt_position=position,
        control_offset=0,
        signed_at_us=time.time_ns() // 1000,
    )
