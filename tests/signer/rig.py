"""A signer on real parts: broker, PostgreSQL, gRPC over TLS; only the guard's answers are the test's to choose.

`Rig.sign` publishes a trade's records as their real writers and asks as the executor.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from xorj.signer.v1 import signer_pb2, signer_pb2_grpc
from xorj_contracts.codec import position_to_message
from xorj_core.base58 import address_text
from xorj_core.facts import Fact, Mode, SigningRefused, TradeSigned
from xorj_core.facts.common import Position
from xorj_halt.view import Halted
from xorj_localnet.world import World
from xorj_log.fetcher import RecordFetcher
from xorj_log.inbox import FactRecord, read_record
from xorj_log.reader import LogReader
from xorj_log.writer import LogWriter
from xorj_signer.knowledge import TOPICS, Knowledge, follow
from xorj_signer.ledger import Ledger
from xorj_signer.outbox import Publisher
from xorj_signer.providers import KeyKind, ProviderFailed
from xorj_signer.refusals import Refusals
from xorj_signer.request import Signing
from xorj_signer.server import SignerServicer, build_server, set_serving
from xorj_signer.settings import SignerSettings

from tests.signer.trades import DEPLOYMENT, LIMITS, Trade
from tests.worlds import connection_of

DEADLINE_S = 10.0
WRITERS = ("ingestor", "executor", "signer")


@dataclass(slots=True)
class ChosenGuard:
    """Answers as the test wishes; `halts` are given one after the other, then trading is allowed."""

    halts: list[Halted | None] = field(default_factory=list)
    uncovered: set[Position] = field(default_factory=set)
    control_next_offset: int = 7

    def verdict(self, vault: bytes | None) -> Halted | None:
        return self.halts.pop(0) if self.halts else None

    def covered(self, position: Position) -> bool:
        return position not in self.uncovered

    async def wait_covered(self, positions: Sequence[Position], timeout_s: float) -> bool:
        return all(self.covered(position) for position in positions)


@dataclass(slots=True)
class ChosenKey:
    """A key made for the test; `wrong` makes it answer with rubbish, `broken` not at all."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    wrong: bool = False
    broken: bool = False
    uses: int = 0
    name: str = "file"
    kind: KeyKind = KeyKind.ED25519

    def public_key(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    async def sign(self, message: bytes) -> bytes:
        self.uses += 1
        if self.broken:
            raise ProviderFailed("the device is gone")
        return self.private.sign(message + b"?" if self.wrong else message)

    async def check(self) -> bytes:
        return self.public_key()

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True, slots=True)
class RefusedCall(Exception):
    """What a refusal looked like on the wire."""

    code: grpc.StatusCode
    reason: str
    detail: str


@dataclass(slots=True)
class Rig:
    """The signer and the principals around it."""

    world: World
    guard: ChosenGuard
    key: ChosenKey
    signing: Signing
    servicer: SignerServicer
    address: str
    writers: dict[str, LogWriter]

    @property
    def bot(self) -> bytes:
        return self.key.public_key()

    def change(self, **parts: Any) -> None:
        """Replace parts of the request path, such as its mode or its limits."""
        self.signing = replace(self.signing, **parts)
        self.servicer._sign_trade = self.signing.sign_trade

    async def publish(self, principal: str, *facts: Fact) -> list[Position]:
        return [await self.writers[principal].publish(fact) for fact in facts]

    async def publish_trade(self, trade: Trade) -> tuple[Position, Position]:
        """Everything that comes before the request; the positions of intent and attempt."""
        await self.publish("ingestor", *trade.background())
        intent, plan = await self.publish("executor", trade.intent, trade.plan)
        await self.until_settings(trade)
        return intent, plan

    async def until_settings(self, trade: Trade) -> None:
        """Until the signer has read the settings that the trade needs."""
        async with asyncio.timeout(DEADLINE_S):
            while self.signing.knowledge.settings(trade.settings.vault) != trade.settings:
                await asyncio.sleep(0.01)

    async def sign(self, trade: Trade, *, caller: str = "executor") -> signer_pb2.SignTradeResponse:
        """Publish and ask. Raises RefusedCall."""
        return await self.ask(*await self.publish_trade(trade), caller=caller)

    async def ask(
        self, intent: Position, attempt: Position, *, caller: str = "executor", timeout_s: float | None = DEADLINE_S
    ) -> signer_pb2.SignTradeResponse:
        """One call. Raises RefusedCall."""
        return await ask(self.world, self.address, intent, attempt, caller=caller, timeout_s=timeout_s)

    def channel(self, caller: str) -> "grpc.aio.Channel":
        return channel_of(self.world, self.address, caller)

    async def log_of(self, topic: str) -> list[Fact]:
        """Every fact that stands on a topic now."""
        facts: list[Fact] = []
        async with LogReader(connection_of(self.world, "auditor"), (topic,)) as reader:
            ends = await reader.end_offsets()
            async with asyncio.timeout(DEADLINE_S):
                while not await reader.has_reached(ends):
                    for record in await reader.read():
                        item = read_record(record)
                        assert isinstance(item, FactRecord)
                        facts.append(item.fact)
        return facts


async def ask(
    world: World,
    address: str,
    intent: Position,
    attempt: Position,
    *,
    caller: str = "executor",
    timeout_s: float | None = DEADLINE_S,
) -> signer_pb2.SignTradeResponse:
    """One call to the signer at `address`. Raises RefusedCall."""
    request = signer_pb2.SignTradeRequest(
        intent=position_to_message(intent), attempt=position_to_message(attempt), traceparent=""
    )
    async with channel_of(world, address, caller) as channel:
        try:
            return await signer_pb2_grpc.SignerStub(channel).SignTrade(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise refusal_of(error) from error


def channel_of(world: World, address: str, caller: str) -> "grpc.aio.Channel":
    """A connection with the caller's certificate."""
    identity = world.certificates.of(caller)
    credentials = grpc.ssl_channel_credentials(
        identity.ca_file.read_bytes(), identity.key_file.read_bytes(), identity.certificate_file.read_bytes()
    )
    return grpc.aio.secure_channel(address, credentials)


async def refusal(rig: Rig, trade: Trade, *, published: bool = True, **asked: Any) -> RefusedCall:
    """Ask for a signature that must not be given; nothing may be signed, and the refusal stands on the log."""
    uses = rig.key.uses
    with pytest.raises(RefusedCall) as refused:
        await rig.sign(trade, **asked)
    assert rig.key.uses == uses or refused.value.reason in ("BAD_SIGNATURE", "PROVIDER_FAILED", "KILLED")
    facts = [fact for fact in await rig.log_of("signed-txs") if getattr(fact, "vault", b"") == trade.intent.vault]
    assert not [fact for fact in facts if isinstance(fact, TradeSigned)]
    reasons = [fact.reason.name for fact in facts if isinstance(fact, SigningRefused)]
    assert reasons == ([refused.value.reason] if published else [])
    return refused.value


def refusal_of(error: grpc.aio.AioRpcError) -> RefusedCall:
    """The refusal in the error's details."""
    metadata = dict(error.trailing_metadata() or ())
    status = Status.FromString(metadata.get("grpc-status-details-bin", b""))
    info = ErrorInfo()
    if status.details:
        status.details[0].Unpack(info)
        assert info.domain == "signer.xorj"
        assert status.code == error.code().value[0]
    return RefusedCall(error.code(), info.reason.removeprefix("REASON_"), error.details() or "")


def signer_settings(world: World) -> SignerSettings:
    """Settings of a signer in this world, as the environment would give them."""
    identity = world.certificates.of("signer")
    return SignerSettings(
        mode="live",
        kafka_bootstrap=world.broker.address,
        kafka_ca_file=identity.ca_file,
        kafka_cert_file=identity.certificate_file,
        kafka_key_file=identity.key_file,
        keys_file=world.keys.registry_file,
        heartbeat_key_file=world.keys.named("signer").seed_file,
        database_dsn_file=world.database.dsn_files["signer"],
        signer_policy_file=Path("unused"),
        genesis_hash=address_text(DEPLOYMENT.genesis_hash),
    )


@asynccontextmanager
async def started_rig(world: World) -> AsyncIterator[Rig]:
    """A serving signer."""
    settings = signer_settings(world)
    connection = connection_of(world, "signer")
    async with AsyncExitStack() as stack:
        writers = {
            name: await stack.enter_async_context(LogWriter(connection_of(world, name), name, "test"))
            for name in WRITERS
        }
        knowledge, caught_up = Knowledge(DEPLOYMENT), asyncio.Event()
        guard, key = ChosenGuard(), ChosenKey()
        reader = await stack.enter_async_context(LogReader(connection, TOPICS))
        ledger = await stack.enter_async_context(Ledger(world.database.dsn("signer")))
        signing = Signing(
            callers=frozenset({"executor"}),
            mode=Mode.LIVE,
            limits=LIMITS,
            fetcher=await stack.enter_async_context(RecordFetcher(connection, ("trade-intents",))),
            guard=guard,
            knowledge=knowledge,
            ledger=ledger,
            key=key,
            publisher=Publisher(ledger, writers["signer"]),
            refusals=Refusals(writers["signer"]),
        )
        servicer = SignerServicer(signing.sign_trade, key, signing.refusals.tell)
        server, port, state = build_server(settings, servicer)
        following = asyncio.create_task(follow(knowledge, reader, writers["signer"], caught_up))
        await server.start()
        await set_serving(state, serving=True)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await caught_up.wait()
            address = f"127.0.0.1:{port}"
            yield Rig(world, guard, key, signing, servicer, address, writers)
        finally:
            await server.stop(0)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
