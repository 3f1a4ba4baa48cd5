"""The executor's ports in memory: a log, a chain with one vault program, a venue, a signer, a guard.

1. The fake log keeps facts in order and hands them back as records: whoever reads it anew reads the same.
2. The fake chain executes identical bytes once, takes each sequence once, and refuses what has expired.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from xorj_contracts.codec import Envelope
from xorj_core.facts import (
    AttemptPlanned,
    Fact,
    Halt,
    Position,
    Quote,
    TradeIntended,
    TradeSigned,
    fact_id,
)
from xorj_core.outcome import Landed, VaultRead
from xorj_core.profiles import Commitment
from xorj_core.trade import QuoteRefused
from xorj_executor.jupiter import Route, RouteWish
from xorj_executor.ports import (
    Blockhash,
    ChainFailure,
    ChainUnreachable,
    Sent,
    SignAnswer,
    Signed,
    Simulated,
)
from xorj_log.inbox import FactRecord
from xorj_log.reader import LogRecord
from xorj_log.topics import key_of, topic_of
from xorj_log.writer import PublishUnknown
from xorj_solana.programs import SPL_TOKEN

BOT = Pubkey(b"\x42" * 32)
RATE = 2


class Crash(BaseException):
    """The process dies here."""


def record_of(fact: Fact, offset: int, now_ms: int) -> FactRecord:
    """A fact as it would be read."""
    position = Position("cluster", topic_of(fact).name, 0, offset)
    envelope = Envelope(fact_id(fact), (), b"", "test", "test", 0, 0, "")
    return FactRecord(LogRecord(position, now_ms, key_of(fact), (), b""), envelope, fact)


@dataclass
class FakeLog:
    """One partition of every topic. `lost_after`: kinds whose publication is made but not acknowledged, once."""

    records: list[FactRecord] = field(default_factory=list)
    now_ms: int = 0
    lost_after: set[str] = field(default_factory=set)
    lost_before: set[str] = field(default_factory=set)
    crash_after: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def publish(self, fact: Fact, *, causation: Sequence[bytes] = ()) -> Position:
        await asyncio.sleep(0)
        name = type(fact).__name__
        if name in self.lost_before:
            self.lost_before.discard(name)
            raise PublishUnknown(name)
        position = self.append(fact)
        if name == self.crash_after:
            self.crash_after = ""
            raise Crash(name)
        if name in self.lost_after:
            self.lost_after.discard(name)
            raise PublishUnknown(name)
        return position

    def append(self, fact: Fact) -> Position:
        offset = sum(1 for r in self.records if r.record.position.topic == topic_of(fact).name)
        self.records.append(record_of(fact, offset, self.now_ms))
        self.changed.set()
        return self.records[-1].record.position

    def of(self, *kinds: type) -> list[Fact]:
        return [r.fact for r in self.records if isinstance(r.fact, kinds)]

    def at(self, position: Position) -> Fact:
        return next(r.fact for r in self.records if r.record.position == position)


@dataclass
class FakeChain:
    """One vault; slots pass when `advance` is called."""

    log: FakeLog
    now_slot: int = 1_000
    trade_seq: int = 0
    last: tuple[bytes, int, int, int] = (b"", 0, 0, 0)  # intent, in, out, slot
    before: tuple[int, int, tuple[bytes, int, int, int]] | None = None  # what is finalized while `last` is not
    sent: list[bytes] = field(default_factory=list)
    executed: list[bytes] = field(default_factory=list)
    failed: dict[bytes, ChainFailure] = field(default_factory=dict)
    unreachable: int = 0
    drops: bool = False
    fails_simulation: int = 0
    fails_execution: int = 0
    crash_after_send: bool = False

    def advance(self, slots: int) -> None:
        self.now_slot += slots
        if self.before and self.now_slot - 32 >= self.before[0]:
            self.before = None

    def _reachable(self) -> None:
        if self.unreachable:
            self.unreachable -= 1
            raise ChainUnreachable("HTTP 500")

    async def slot(self, commitment: Commitment) -> int:
        self._reachable()
        return self.now_slot if commitment is Commitment.CONFIRMED else self.now_slot - 32

    async def latest_blockhash(self) -> Blockhash:
        self._reachable()
        return Blockhash(bytes(32), self.now_slot + 150, self.now_slot)

    async def token_programs(self, mints: Sequence[Pubkey]) -> tuple[Pubkey, ...]:
        return tuple(SPL_TOKEN for _ in mints)

    async def unit_price_micro_lamports(self, writable: Sequence[Pubkey]) -> int:
        return 0

    async def simulate(self, message: MessageV0, vault: Pubkey) -> Simulated | ChainFailure:
        self._reachable()
        if self.fails_simulation:
            self.fails_simulation -= 1
            return ChainFailure("InstructionError", 2, 6024, "", self.now_slot)
        return Simulated(100_000, 1)

    async def send(self, transaction: bytes) -> tuple[Sent, int]:
        self._reachable()
        self.sent.append(transaction)
        if not self.drops:
            self._execute(transaction)
        if self.crash_after_send:
            self.crash_after_send = False
            raise Crash("send")
        return Sent.TAKEN, 1

    def _execute(self, transaction: bytes) -> None:
        signed = next(
            f for f in self.log.of(TradeSigned) if isinstance(f, TradeSigned) and f.transaction == transaction
        )
        intended = next(
            f for f in self.log.of(TradeIntended) if isinstance(f, TradeIntended) and f.intent_id == signed.intent_id
        )
        planned = next(
            f
            for f in self.log.of(AttemptPlanned)
            if isinstance(f, AttemptPlanned) and (f.intent_id, f.attempt) == (signed.intent_id, signed.attempt)
        )
        if transaction in self.executed or signed.signature in self.failed:
            return
        if intended.trade_seq != self.trade_seq + 1 or self.now_slot > planned.expiry_slot:
            return
        if self.fails_execution:
            self.fails_execution -= 1
            self.failed[signed.signature] = ChainFailure("InstructionError", 2, 6024, "", self.now_slot)
            return
        self.before = (self.now_slot, self.trade_seq, self.last)
        self.executed.append(transaction)
        self.trade_seq += 1
        amount = intended.amount_in_base_units
        self.last = (intended.intent_id, amount, amount * RATE, self.now_slot)

    async def vaults(self, vaults: Sequence[bytes], commitment: Commitment) -> tuple[VaultRead | None, ...]:
        self._reachable()
        seq, last, slot = self.trade_seq, self.last, self.now_slot
        if commitment is Commitment.FINALIZED:
            slot -= 32
            if self.before:
                _, seq, last = self.before
        return tuple(VaultRead(slot, seq, *last, 1) for _ in vaults)

    async def failures(self, signatures: Sequence[bytes]) -> dict[bytes, ChainFailure]:
        return {s: self.failed[s] for s in signatures if s in self.failed}

    async def landed(self, signatures: Sequence[bytes], commitment: Commitment) -> Landed | None:
        for fact in self.log.of(TradeSigned):
            if isinstance(fact, TradeSigned) and fact.transaction in self.executed and fact.signature in signatures:
                return Landed(fact.signature, self.last[3], self.last[1], self.last[2])
        return None


@dataclass
class FakeVenue:
    """Twice the amount in, always; `answers` are given first."""

    answers: list[QuoteRefused] = field(default_factory=list)

    async def route(self, wish: RouteWish) -> Route | QuoteRefused:
        if self.answers:
            return self.answers.pop(0)
        amount = wish.amount_in_base_units
        quote = Quote("jupiter", amount, amount * RATE, amount * RATE, 0, (b"\x05" * 32,), bytes(32))
        metas = [
            AccountMeta(Pubkey(wish.taker), is_signer=True, is_writable=False),
            AccountMeta(Pubkey(wish.destination), is_signer=False, is_writable=True),
        ]
        return Route(quote, Instruction(Pubkey(b"\x06" * 32), bytes(24), metas), ())


@dataclass
class FakeSigner:
    """Signs what stands on the log, once per intent and attempt, and publishes before it answers."""

    log: FakeLog
    answers: list[SignAnswer] = field(default_factory=list)
    asked: int = 0

    async def sign(self, intent: Position, attempt: Position) -> SignAnswer:
        self.asked += 1
        if self.answers:
            return self.answers.pop(0)
        planned, intended = self.log.at(attempt), self.log.at(intent)
        assert isinstance(planned, AttemptPlanned)
        assert isinstance(intended, TradeIntended)
        assert planned.intent_id == intended.intent_id
        for record in self.log.records:
            fact = record.fact
            if isinstance(fact, TradeSigned) and (fact.intent_id, fact.attempt) == (planned.intent_id, planned.attempt):
                return Signed(record.record.position)
        digest = hashlib.sha256(planned.message).digest()
        ids = (planned.intent_id, planned.trade_id, planned.vault, planned.trade_seq, planned.attempt)
        fact = TradeSigned(*ids, digest, digest + b"tx", digest * 2, "fake", bytes(32), intent, attempt, 0, 1)
        return Signed(self.log.append(fact))

    async def public_key(self) -> bytes:
        return bytes(BOT)


@dataclass
class FakeGate:
    """Allows everything until `halt` is set."""

    halt: Halt | None = None

    def verdict(self, vault: bytes) -> tuple[Halt, str] | None:
        return (self.halt, "test") if self.halt else None

    def judged(self, vault: bytes) -> tuple[int, tuple[Halt, str] | None]:
        return 0, self.verdict(vault)
