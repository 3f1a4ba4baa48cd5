"""Watches every open trade to its end: confirmed, finalized, expired, or an attempt that failed on chain.

1. Watching and recording go on while halted; only sending asks the guard.
2. An end is published only from a finalized read of the vault account, judged by that answer's own context slot.
3. Identical bytes are sent again and again until the trade ends: they can execute only once.
4. All vaults are read together, up to 100 in one answer, on each new slot and at least every `poll_s`.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from xorj_core import outcome
from xorj_core.execution import Attempt, Trade, open_trade
from xorj_core.facts import AttemptStage, Fact, TradeIntended, fact_id
from xorj_core.next_step import can_land
from xorj_core.outcome import Landed, VaultRead, Verdict
from xorj_core.profiles import Commitment
from xorj_log.writer import PublishUnknown

from xorj_executor.books import Books
from xorj_executor.metrics import OPEN_TRADES
from xorj_executor.ports import ChainFailure
from xorj_executor.steps import Ports, attempt_failed, tell

VAULTS_PER_READ: Final = 100
SETTLED_PACE: Final = 10
"""A confirmed trade is sent again this much more rarely: only a fork could need it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WatchRules:
    """Pace of watching."""

    resend_s: float


class Watcher:
    """Reads the chain for all open trades; `tick` does one round."""

    def __init__(self, books: Books, ports: Ports, rules: WatchRules) -> None:
        self._books = books
        self._ports = ports
        self._rules = rules
        self._told: dict[bytes, set[str]] = {}  # facts published but not yet read back, by intent
        self._suspects: set[bytes] = set()  # intents that the confirmed state already decides one way or the other
        self._sent_at: dict[bytes, float] = {}  # by signature
        self.confirmed_slot = 0
        self.finalized_slot = 0

    def forget(self) -> None:
        """Begin again: the log will be read anew."""
        self._told.clear()
        self._suspects.clear()
        self._sent_at.clear()

    async def tick(self) -> None:
        """One round over all open trades; raises ChainUnreachable."""
        trades = self._open()
        OPEN_TRADES.set(len(trades))
        if not trades:
            self.forget()
            return
        self._forget_ended(trades)
        await self.learn_slots()
        await self._confirm([t for t in trades if t.confirmed is None and any(a.signed for a in t.attempts)])
        await self._end([t for t in self._open() if self._may_end(t)])
        await self._send_again(self._open())

    def _forget_ended(self, trades: Sequence[Trade]) -> None:
        open_intents = {trade.intent_id for trade in trades}
        signatures = {a.signed.signature for trade in trades for a in trade.attempts if a.signed is not None}
        self._told = {intent: told for intent, told in self._told.items() if intent in open_intents}
        self._suspects &= open_intents
        self._sent_at = {signature: at for signature, at in self._sent_at.items() if signature in signatures}

    async def learn_slots(self) -> None:
        """Ask which slots are confirmed and finalized; raises ChainUnreachable."""
        self.confirmed_slot = await self._ports.chain.slot(Commitment.CONFIRMED)
        self.finalized_slot = await self._ports.chain.slot(Commitment.FINALIZED)

    def _open(self) -> list[Trade]:
        found = (open_trade(self._books.vault(vault)) for vault in self._books.open_vaults)
        return [trade for trade in found if trade is not None and trade.intended is not None]

    def _may_end(self, trade: Trade) -> bool:
        if trade.intended is None:
            return False
        if trade.confirmed is not None and trade.confirmed.slot <= self.finalized_slot:
            return True
        return trade.intent_id in self._suspects or self.finalized_slot > trade.intended.expiry_slot

    async def _confirm(self, trades: Sequence[Trade]) -> None:
        for reads in await self._reads(trades, Commitment.CONFIRMED):
            await asyncio.gather(*(self._confirm_one(*read) for read in reads))

    async def _confirm_one(self, trade: Trade, intended: TradeIntended, read: VaultRead) -> None:
        verdict = outcome.judge(intended, read)
        if verdict is Verdict.OPEN:
            return
        self._suspects.add(trade.intent_id)
        if verdict is Verdict.EXECUTED:
            await self._tell_confirmed(trade, intended, read, Commitment.CONFIRMED)

    async def _end(self, trades: Sequence[Trade]) -> None:
        for reads in await self._reads(trades, Commitment.FINALIZED):
            await asyncio.gather(*(self._end_one(*read) for read in reads))

    async def _end_one(self, trade: Trade, intended: TradeIntended, read: VaultRead) -> None:
        match outcome.judge(intended, read):
            case Verdict.OPEN:
                pass
            case Verdict.EXECUTED:
                if trade.confirmed is None:
                    await self._tell_confirmed(trade, intended, read, Commitment.FINALIZED)
                _, signature = await self._which(trade, Commitment.FINALIZED)
                landed = outcome.landed_by_account(trade, read, signature)
                await self._tell(trade, outcome.finalized(intended, read, landed))
            case Verdict.PASSED:
                found = await self._landed(trade, Commitment.FINALIZED)
                fact = outcome.finalized(intended, read, found) if found else outcome.expired(intended, read)
                await self._tell(trade, fact)
            case Verdict.IMPOSSIBLE:
                await self._tell(trade, outcome.expired(intended, read))

    async def _tell_confirmed(
        self, trade: Trade, intended: TradeIntended, read: VaultRead, commitment: Commitment
    ) -> None:
        if outcome.satisfies_tier(intended, read.last_slot, read.context_slot, commitment):
            attempt, signature = await self._which(trade, commitment)
            await self._tell(trade, outcome.confirmed(intended, read, attempt, signature))

    async def _which(self, trade: Trade, commitment: Commitment) -> tuple[int, bytes]:
        """Attempt and signature that executed; 0 and empty where that cannot be told."""
        signed = [a for a in trade.attempts if a.signed is not None]
        if len(signed) > 1:
            found = await self._landed(trade, commitment)
            signed = [a for a in signed if found and a.signed and a.signed.signature == found.signature]
        last = signed[-1] if signed else Attempt(0)
        return last.number, last.signed.signature if last.signed else b""

    async def _landed(self, trade: Trade, commitment: Commitment) -> Landed | None:
        signatures = [a.signed.signature for a in trade.attempts if a.signed is not None]
        return await self._ports.chain.landed(signatures, commitment) if signatures else None

    async def _send_again(self, trades: Iterable[Trade]) -> None:
        now = time.monotonic()
        due: list[tuple[Trade, Attempt]] = []
        for trade in trades:
            pace = self._rules.resend_s * (SETTLED_PACE if trade.confirmed else 1)
            for attempt in trade.attempts:
                if attempt.signed is None or not attempt.is_submitted or not can_land(attempt, self.confirmed_slot):
                    continue
                if now - self._sent_at.setdefault(attempt.signed.signature, now) >= pace:
                    due.append((trade, attempt))
        if not due:
            return
        signatures = [a.signed.signature for _, a in due if a.signed is not None]
        failures = await self._ports.chain.failures(signatures[:VAULTS_PER_READ])
        self._sent_at.update(dict.fromkeys(signatures[:VAULTS_PER_READ], now))
        await asyncio.gather(*(self._send_one(t, a, failures) for t, a in due[:VAULTS_PER_READ]))

    async def _send_one(self, trade: Trade, attempt: Attempt, failures: Mapping[bytes, ChainFailure]) -> None:
        if attempt.signed is None or trade.intended is None:
            return
        signature = attempt.signed.signature
        if failure := failures.get(signature):
            failed = attempt_failed(trade.intended, attempt.number, signature, failure, AttemptStage.CHAIN)
            await self._tell(trade, failed)
        elif self._ports.gate.verdict(trade.intended.vault) is None:
            await self._ports.chain.send(attempt.signed.transaction)

    async def _reads(
        self, trades: Sequence[Trade], commitment: Commitment
    ) -> list[list[tuple[Trade, TradeIntended, VaultRead]]]:
        """Each trade with its vault account, by answer; a missing account says nothing."""
        found = []
        for start in range(0, len(trades), VAULTS_PER_READ):
            pairs = [(t, t.intended) for t in trades[start : start + VAULTS_PER_READ] if t.intended is not None]
            reads = await self._ports.chain.vaults([intended.vault for _, intended in pairs], commitment)
            both = zip(pairs, reads, strict=True)
            found.append([(trade, intended, read) for (trade, intended), read in both if read is not None])
        return found

    async def _tell(self, trade: Trade, fact: Fact) -> None:
        """Publish once; a publication whose outcome is unknown is made again, which folds to the same."""
        name = f"{type(fact).__name__}/{getattr(fact, 'attempt', 0)}"
        told = self._told.setdefault(trade.intent_id, set())
        if name in told or trade.intended is None:
            return
        try:
            await self._ports.log.publish(fact, causation=(fact_id(trade.intended),))
        except PublishUnknown as error:
            log.warning("watcher.publish_unknown", trade_id=trade.intended.trade_id.hex(), error=str(error))
            return
        told.add(name)
        tell(fact)
