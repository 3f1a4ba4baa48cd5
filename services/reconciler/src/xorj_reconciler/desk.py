"""Looks at vaults that are due and publishes what it finds.

1. One look per vault at a time, and the next one only after the answer has been read back: triggers that arrive
   meanwhile are answered together by one later look.
2. Nothing is decided before the read models and the market are caught up, nor for a vault that may not be looked at.
3. What is published names every cause in force at the look (`xorj_reconciler.state`, rule 2).
4. A publish whose outcome is unknown is no answer: the vault is looked at again after the log had time to show it.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import structlog
from prometheus_client import Counter, Histogram
from xorj_core.facts import Fact, PortfolioReconciled, ReconcileDue, ReconciliationRefused, SettingsChanged, fact_id
from xorj_core.facts.common import Position
from xorj_core.ids import trade_id
from xorj_core.reconcile import (
    DECISION_VERSION,
    LookAgain,
    ReconciliationInputs,
    Refusal,
    VaultSnapshot,
    VaultUnreadable,
    decide_reconciliation,
    target_of,
)
from xorj_log.writer import PublishUnknown

from xorj_reconciler.market import Market
from xorj_reconciler.state import VaultState, causes_in_force, may_be_looked_at, next_due, unanswered
from xorj_reconciler.vaults import VaultReader

LOOKERS: Final = 8
READ_BACK_S_MAX: Final = 10.0
"""An answer that has not come back by then was not written, or its partition has moved."""
SWEEP_S_MIN: Final = 0.2
SWEEP_SHARE: Final = 4.0
"""A sweep over many vaults is followed by a pause of this many times its length."""

ANSWERS = Counter("xorj_reconciler_answers_total", "Published comparisons and refusals.", ["answer"])
LOOK_S = Histogram("xorj_reconciler_look_seconds", "From picking up a vault to its answer on the log.")


class Publisher(Protocol):
    """The writer, as far as the desk needs it."""

    async def publish(
        self,
        fact: Fact,
        *,
        causation: Sequence[bytes] = (),
        decision_version: int = 0,
        decided_at_us: int | None = None,
    ) -> Position:
        """Append the fact; raises `PublishUnknown`."""
        ...


class Models(Protocol):
    """The read models, as far as the desk needs them."""

    @property
    def caught_up(self) -> bool:
        """Whether everything that stood on the log is folded."""
        ...

    def state(self, vault: bytes) -> VaultState | None:
        """What is known of a vault that is this instance's."""
        ...

    def settings(self, vault: bytes) -> SettingsChanged | None:
        """The newest settings of a vault."""
        ...

    def vaults(self) -> Iterable[bytes]:
        """Every vault that is known."""
        ...


def clock_ms() -> int:
    """Milliseconds of the wall clock: compared with the broker's append times."""
    return time.time_ns() // 1_000_000


class Desk:
    """The reconciler's decisions. `touch` a vault when something about it changed."""

    def __init__(
        self,
        models: Models,
        market: Market,
        reader: VaultReader,
        publisher: Publisher,
        *,
        period_ms: int,
        retry_ms: int,
        price_age_ms_max: int,
        now_ms: Callable[[], int] = clock_ms,
    ) -> None:
        self._models = models
        self._market = market
        self._reader = reader
        self._publisher = publisher
        self._period_ms = period_ms
        self._look_again = LookAgain(soon_ms=retry_ms, later_ms=period_ms)
        self._price_age_ms_max = price_age_ms_max
        self._now_ms = now_ms
        self._waiting: dict[bytes, None] = {}  # vaults to look at, oldest touch first
        self._looking: set[bytes] = set()
        self._touched_again: set[bytes] = set()  # touched while being looked at
        self._published: dict[bytes, tuple[bytes, float]] = {}  # vault to its answer and when to stop waiting for it
        self._announced: dict[bytes, tuple[bytes, float]] = {}  # the same for ReconcileDue, by its cause
        self._something_waits = asyncio.Event()

    def touch(self, vault: bytes) -> None:
        """Something about this vault changed: look at it soon if it is due."""
        self._waiting.setdefault(vault)
        self._something_waits.set()

    def touch_all(self) -> None:
        """Something that concerns every vault changed."""
        for vault in self._models.vaults():
            self.touch(vault)

    async def run(self) -> None:
        """Work until cancelled; raises what nobody expected."""
        async with asyncio.TaskGroup() as group:
            for _ in range(LOOKERS):
                group.create_task(self._look_at_waiting())
            group.create_task(self._sweep())

    async def _look_at_waiting(self) -> None:
        while True:
            await self._something_waits.wait()
            vault = next(iter(self._waiting), None)
            if vault is None:
                self._something_waits.clear()
                continue
            del self._waiting[vault]
            if vault in self._looking:
                self._touched_again.add(vault)
                continue
            self._looking.add(vault)
            await self.look(vault)
            self._looking.discard(vault)
            if vault in self._touched_again:
                self._touched_again.discard(vault)
                self.touch(vault)
            await asyncio.sleep(0)

    async def look(self, vault: bytes) -> None:
        """Look at one vault if it is due and publish the answer."""
        state = self._due_state(vault)
        if state is None:
            return
        started = time.perf_counter()
        market, settings = self._market, self._models.settings(vault)
        ranking, ranking_fact_id = market.ranking, market.ranking_fact_id
        causes = causes_in_force(state, ranking_fact_id)
        trigger = unanswered(state, ranking_fact_id)[0]
        target = target_of(settings, ranking)
        snapshot: VaultSnapshot | VaultUnreadable = VaultUnreadable("not asked for")
        if settings is not None and not isinstance(target, Refusal):
            slot_min = state.end.context_slot if state.end is not None else 0
            snapshot = await self._reader.read(vault, settings.allowed_mints, slot_min)
        now_ms = self._now_ms()
        inputs = ReconciliationInputs(
            vault=vault,
            trigger_fact_id=trigger,
            settings=settings,
            settings_fact_id=state.settings_fact_id,
            ranking=ranking,
            ranking_fact_id=ranking_fact_id,
            prices=market.prices,
            snapshot=snapshot,
            now_ms=now_ms,
            price_age_ms_max=self._price_age_ms_max,
            look_again=self._look_again,
        )
        if self._due_state(vault) != state:
            self.touch(vault)  # an intent or new settings arrived while the chain answered
            return
        await self._publish_answer(decide_reconciliation(inputs), vault, causes, now_ms, started)

    async def _publish_answer(
        self, fact: Fact, vault: bytes, causes: tuple[bytes, ...], now_ms: int, started: float
    ) -> None:
        log = structlog.get_logger().bind(vault=vault.hex(), answer=type(fact).__name__)
        self._published[vault] = (fact_id(fact), time.monotonic() + READ_BACK_S_MAX)
        try:
            position = await self._publisher.publish(
                fact, causation=causes, decision_version=DECISION_VERSION, decided_at_us=now_ms * 1000
            )
        except PublishUnknown as error:
            log.warning("answer.unknown", detail=str(error))
            return
        LOOK_S.observe(time.perf_counter() - started)
        ANSWERS.labels(type(fact).__name__).inc()
        if isinstance(fact, PortfolioReconciled):
            log.info(
                "vault.reconciled",
                at=str(position),
                in_balance=fact.in_balance,
                trade_id=trade_id(vault, fact.vault_trade_seq + 1).hex(),
                ranking_fact_id=fact.ranking_fact_id.hex(),
            )
        elif isinstance(fact, ReconciliationRefused):
            log.info("vault.refused", at=str(position), reason=fact.reason.name, detail=fact.detail)

    def _due_state(self, vault: bytes) -> VaultState | None:
        """The vault's state if a look is due and allowed now."""
        if not (self._models.caught_up and self._market.caught_up):
            return None
        state = self._models.state(vault)
        if state is None or not may_be_looked_at(state, self._now_ms()):
            return None
        published = self._published.get(vault)
        if published is not None:
            read_back = state.answer is not None and state.answer.fact_id == published[0]
            if not read_back and time.monotonic() < published[1]:
                return None
            del self._published[vault]
        return state if unanswered(state, self._market.ranking_fact_id) else None

    # -- looking again -------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Publish ReconcileDue for vaults whose time has come, and pick up what was left waiting."""
        pause_s = SWEEP_S_MIN
        while True:
            await asyncio.sleep(pause_s)
            if not (self._models.caught_up and self._market.caught_up):
                continue
            began = time.monotonic()
            for index, vault in enumerate(self._models.vaults()):
                if index % 500 == 499:
                    await asyncio.sleep(0)
                if self._due_state(vault) is not None:
                    self.touch(vault)
                else:
                    await self._announce_due(vault)
            pause_s = max(SWEEP_S_MIN, SWEEP_SHARE * (time.monotonic() - began))

    async def _announce_due(self, vault: bytes) -> None:
        state = self._models.state(vault)
        now_ms = self._now_ms()
        if state is None or not may_be_looked_at(state, now_ms) or vault in self._published:
            return
        due = next_due(state, self._period_ms)
        if due is None or due.due_at_ms > now_ms:
            return
        announced = self._announced.get(vault)
        if announced is not None and announced[0] == due.cause_fact_id and time.monotonic() < announced[1]:
            return
        self._announced[vault] = (due.cause_fact_id, time.monotonic() + READ_BACK_S_MAX)
        fact = ReconcileDue(vault, due.cause_fact_id, due.due_at_ms * 1000)
        try:
            await self._publisher.publish(fact, causation=(due.cause_fact_id,), decision_version=DECISION_VERSION)
        except PublishUnknown as error:
            structlog.get_logger().warning("due.unknown", vault=vault.hex(), detail=str(error))
