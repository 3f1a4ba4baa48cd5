"""One trade as a person follows it: its steps, when the log took each of them, and its amounts. A pure fold over facts.

1. Times are the broker's append times in milliseconds; a step's latency is the time since the step before it.
2. A trade is told once, by trade id; reading a fact twice changes nothing.
"""

import contextlib
import itertools
from dataclasses import dataclass, field
from typing import Final

from xorj_core.facts import (
    AttemptPlanned,
    DeadLettered,
    Fact,
    HaltScope,
    KillCommanded,
    PortfolioReconciled,
    ReconciliationRefused,
    SigningRefused,
    TradeConfirmed,
    TradeExpired,
    TradeFinalized,
    TradeIntended,
    TradeRefused,
    TradeSigned,
    TradeSubmitted,
)
from xorj_core.ids import delta_id

STEPS: Final = ("reconciled", "intended", "planned", "signed", "submitted", "confirmed", "finalized")
"""In the order in which a trade goes through them."""

TOPICS: Final = ("control", "portfolio-deltas", "trade-intents", "signed-txs", "confirmations", "dead-letters")
"""What must be read to tell every story."""


@dataclass(slots=True)
class Story:
    """What is known about one trade so far. Amounts in base units; `at_ms` holds each step's append time."""

    trade_id: bytes
    vault: bytes
    trade_seq: int
    mint_in: bytes
    mint_out: bytes
    amount_in: int
    amount_out_min: int
    amount_out_expected: int
    amount_out: int | None = None
    signature: bytes = b""
    slot: int | None = None
    status: str = "intended"
    at_ms: dict[str, int] = field(default_factory=dict)

    def latency_ms(self) -> dict[str, int]:
        """Milliseconds each step took after the one before it, and `total` from the delta to the confirmation."""
        known = [step for step in STEPS if step in self.at_ms]
        taken: dict[str, int] = {b: self.at_ms[b] - self.at_ms[a] for a, b in itertools.pairwise(known)}
        if {"reconciled", "confirmed"} <= self.at_ms.keys():
            taken["total"] = self.at_ms["confirmed"] - self.at_ms["reconciled"]
        return taken


@dataclass(frozen=True, slots=True)
class Refusal:
    """A vault that got no trade, and why."""

    vault: bytes
    reason: str
    detail: str


class Stories:
    """Every trade and every refusal, in the order in which they appeared."""

    def __init__(self) -> None:
        self.trades: dict[bytes, Story] = {}
        self.refusals: list[Refusal] = []
        self.dead_letters: list[DeadLettered] = []
        self.killed = False
        self._deltas_ms: dict[bytes, int] = {}
        self._in_balance: dict[bytes, bool] = {}

    def confirmed(self) -> list[Story]:
        """Trades that are in a confirmed block."""
        return [story for story in self.trades.values() if story.status in {"confirmed", "finalized"}]

    def settled(self, vaults: int) -> bool:
        """Whether this many vaults are where they should be, so that nothing will trade until the target moves."""
        return sum(self._in_balance.values()) >= vaults

    def unsettle(self) -> None:
        """The target has moved: what was in balance is to be looked at again."""
        self._in_balance.clear()

    def waiting(self) -> list[Refusal]:
        """The latest refusal of every vault that has no trade."""
        traded = {story.vault for story in self.trades.values()}
        return list({r.vault: r for r in self.refusals if r.vault not in traded}.values())

    def tell(self, fact: Fact, timestamp_ms: int) -> None:
        """Add what one fact says."""
        match fact:
            case PortfolioReconciled():
                delta = delta_id(fact.vault, fact.trigger_fact_id, fact.snapshot_slot)
                self._deltas_ms.setdefault(delta, timestamp_ms)
                self._in_balance[fact.vault] = fact.in_balance
            case TradeIntended():
                self._intended(fact, timestamp_ms)
            case AttemptPlanned():
                self._step(fact.trade_id, "planned", timestamp_ms)
            case TradeSigned():
                self._step(fact.trade_id, "signed", timestamp_ms)
                with contextlib.suppress(KeyError):
                    self.trades[fact.trade_id].signature = fact.signature
            case TradeSubmitted():
                self._step(fact.trade_id, "submitted", timestamp_ms)
            case TradeConfirmed() | TradeFinalized():
                self._landed(fact, timestamp_ms)
            case TradeExpired():
                self._step(fact.trade_id, "expired", timestamp_ms)
            case TradeRefused() | ReconciliationRefused():
                self.refusals.append(Refusal(fact.vault, fact.reason.name, fact.detail))
            case SigningRefused():
                self.refusals.append(Refusal(fact.vault, f"SIGNING_{fact.reason.name}", fact.detail))
            case KillCommanded():
                self.killed = self.killed or fact.scope is HaltScope.EVERYTHING
            case DeadLettered():
                self.dead_letters.append(fact)
            case _:
                pass  # other facts tell nothing about a trade

    def _intended(self, fact: TradeIntended, timestamp_ms: int) -> None:
        story = self.trades.get(fact.trade_id)
        if story is not None and story.status != "expired":
            return
        self.trades[fact.trade_id] = Story(
            trade_id=fact.trade_id,
            vault=fact.vault,
            trade_seq=fact.trade_seq,
            mint_in=fact.mint_in,
            mint_out=fact.mint_out,
            amount_in=fact.amount_in_base_units,
            amount_out_min=fact.amount_out_min_base_units,
            amount_out_expected=fact.quote.amount_out_base_units,
            at_ms={"intended": timestamp_ms},
        )
        if fact.delta_id in self._deltas_ms:
            self.trades[fact.trade_id].at_ms["reconciled"] = self._deltas_ms[fact.delta_id]

    def _step(self, trade_id: bytes, step: str, timestamp_ms: int) -> None:
        story = self.trades.get(trade_id)
        if story is not None and step not in story.at_ms:
            story.at_ms[step] = timestamp_ms
            if story.status not in {"confirmed", "finalized"}:
                story.status = step

    def _landed(self, fact: TradeConfirmed | TradeFinalized, timestamp_ms: int) -> None:
        step = "confirmed" if isinstance(fact, TradeConfirmed) else "finalized"
        story = self.trades.get(fact.trade_id)
        if story is None or step in story.at_ms:
            return
        story.at_ms[step] = timestamp_ms
        story.status = "finalized" if "finalized" in story.at_ms else "confirmed"
        story.amount_in, story.amount_out = fact.amount_in_base_units, fact.amount_out_base_units
        story.slot = fact.slot
        story.signature = fact.signature or story.signature
