"""The executor over fakes: whatever dies or answers badly, one delta ends in one trade or in none, and is recorded."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from solders.pubkey import Pubkey
from xorj_core.facts import (
    AttemptFailed,
    AttemptPlanned,
    AttemptStage,
    Fact,
    Halt,
    Mode,
    ReferencePriceObserved,
    RiskProfile,
    SettingsChanged,
    TradeConfirmed,
    TradeExpired,
    TradeFinalized,
    TradeIntended,
    TradeRefused,
    TradeRefusedReason,
    TradeSigned,
    TradeSubmitted,
)
from xorj_core.trade import QuoteRefused, TradeLimits
from xorj_executor import executor as executor_module
from xorj_executor import steps as steps_module
from xorj_executor.executor import Executor
from xorj_executor.planning import PlanLimits
from xorj_executor.ports import ChainUnreachable, SignerUnavailable, SignRefusal
from xorj_executor.steps import Ports, Rules
from xorj_executor.watcher import WatchRules
from xorj_log.inbox import UndecodableRecord
from xorj_log.reader import LogRecord

from tests.core.trade_facts import JUP, USD, USDC, VAULT, all_into_jup, at
from tests.executor.fakes import Crash, FakeChain, FakeGate, FakeLog, FakeSigner, FakeVenue

DEADLINE_S = 20.0
PATH = (TradeIntended, AttemptPlanned, TradeSigned, TradeSubmitted, TradeConfirmed, TradeFinalized)


class Process:
    """One run of the executor; `crash` ends it as kill -9 would, `start` begins the next."""

    def __init__(self, mode: Mode = Mode.LIVE) -> None:
        self.log = FakeLog(now_ms=time.time_ns() // 1_000_000)
        self.chain = FakeChain(self.log)
        self.venue, self.signer, self.gate = FakeVenue(), FakeSigner(self.log), FakeGate()
        self.mode = mode
        self.tasks: set[asyncio.Task[None]] = set()
        self.crashes: list[BaseException] = []
        for mint, price in ((USDC, USD), (JUP, USD // 2)):
            self.log.append(ReferencePriceObserved(mint, price, 6, "venue", "market", 1))
        flags = (True, 100, (USDC, JUP), 100, 10**6, 10**10, 10**11, b"")
        self.log.append(SettingsChanged(VAULT, VAULT, 1, RiskProfile.MODERATE, *flags))

    def start(self) -> None:
        """Read everything, then act."""
        self.crash()
        limits, plan = TradeLimits(60_000, 60_000, 500), PlanLimits(75, 0, 1_000_000)
        rules = Rules(self.mode, limits, plan, 150, Pubkey(b"\x21" * 32))
        ports = Ports(self.log, self.gate, self.venue, self.chain, self.signer)
        self.executor = Executor(ports, rules, WatchRules(resend_s=0.0), self._spawn)
        self.read = 0
        self._feed_once()
        self.executor.watcher.confirmed_slot = self.chain.now_slot
        self.executor.caught_up()
        self._spawn("feed", self._feed())

    def crash(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.tasks.clear()

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                raise
            self.crashes.append(error)

    def _feed_once(self) -> None:
        while self.read < len(self.log.records):
            self.read += 1
            self.executor.hear(self.log.records[self.read - 1])

    async def _feed(self) -> None:
        while True:
            self.log.changed.clear()
            self._feed_once()
            await self.log.changed.wait()

    async def until(self, is_so: Callable[[], bool], *, slots: int = 0) -> None:
        """Run, one round of watching at a time, until a condition holds; `slots` pass in each round."""
        deadline = time.monotonic() + DEADLINE_S
        while not is_so():
            names = [type(r.fact).__name__ for r in self.log.records]
            assert time.monotonic() < deadline, names
            for error in self.crashes:
                if not isinstance(error, Crash):
                    raise error
            if self.crashes:
                self.crashes.clear()
                self.start()
            self.chain.advance(slots)
            try:
                await self.executor.watcher.tick()
            except Crash:
                self.start()
            except ChainUnreachable:
                await asyncio.sleep(0)
            self.executor._wake_whose_slot_has_come()
            await asyncio.sleep(0.001)

    def seen(self, *kinds: type[Fact]) -> list[Any]:
        return self.log.of(*kinds)


@pytest.fixture
async def process(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(steps_module, "REPLAN_PAUSE_S", 0.0)
    monkeypatch.setattr(executor_module, "PAUSE_S_MIN", 0.001)
    monkeypatch.setattr(executor_module, "PAUSE_S_MAX", 0.01)
    monkeypatch.setattr(executor_module, "HALTED_PAUSE_S", 0.001)
    monkeypatch.setattr(executor_module, "READ_BACK_S", 0.05)
    found = Process()
    yield found
    found.crash()
    await asyncio.sleep(0)


def one_of_each(process: Process) -> None:
    for kind in PATH:
        assert len(process.seen(kind)) == 1, kind
    assert len(process.chain.executed) == 1
    assert process.chain.trade_seq == 1


async def test_a_delta_becomes_a_trade(process: Process) -> None:
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=1)
    one_of_each(process)
    confirmed, finalized = process.seen(TradeConfirmed)[0], process.seen(TradeFinalized)[0]
    assert (confirmed.amount_in_base_units, confirmed.amount_out_base_units) == (10**9, 2 * 10**9)
    assert finalized.signature == process.seen(TradeSigned)[0].signature
    assert finalized.context_slot >= confirmed.slot


@pytest.mark.parametrize("kind", ["TradeIntended", "AttemptPlanned", "TradeSubmitted", "TradeConfirmed"])
async def test_killed_after_any_publication_it_ends_in_exactly_one_trade(process: Process, kind: str) -> None:
    process.log.crash_after = kind
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=1)
    one_of_each(process)


async def test_killed_between_sending_and_recording_it_ends_in_exactly_one_trade(process: Process) -> None:
    process.chain.crash_after_send = True
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=1)
    one_of_each(process)
    assert len(set(process.chain.sent)) == 1, "identical bytes"


async def test_killed_between_signing_and_submitting_it_ends_in_exactly_one_trade(process: Process) -> None:
    process.start()
    process.log.append(all_into_jup())
    process.chain.drops = True
    await process.until(lambda: bool(process.seen(TradeSigned)))
    process.crash()
    process.chain.drops = False
    process.start()
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=1)
    one_of_each(process)


@pytest.mark.parametrize("kind", [k.__name__ for k in PATH if k is not TradeSigned])
async def test_a_publication_of_unknown_outcome_is_judged_by_the_log(process: Process, kind: str) -> None:
    """Whether it arrived or not: what counts is what is read back."""
    for lost in (process.log.lost_after, process.log.lost_before):
        lost.add(kind)
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=1)
    assert len(process.chain.executed) == 1
    assert len({f.intent_id for f in process.seen(TradeIntended)}) == 1


async def test_a_transaction_that_never_lands_is_followed_by_a_second_attempt(process: Process) -> None:
    process.chain.drops = True
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: len(process.seen(AttemptPlanned)) == 2, slots=3)
    first, second = process.seen(AttemptPlanned)
    assert (first.attempt, second.attempt) == (1, 2)
    assert second.planned_slot > first.expiry_slot
    assert second.expiry_slot <= process.seen(TradeIntended)[0].expiry_slot
    process.chain.drops = False
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=1)
    assert process.seen(TradeFinalized)[0].signature == process.seen(TradeSigned)[-1].signature
    assert len(process.chain.executed) == 1


async def test_a_trade_that_never_lands_expires_with_proof(process: Process) -> None:
    process.chain.drops = True
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeExpired)), slots=5)
    expired = process.seen(TradeExpired)[0]
    assert expired.context_slot > max(p.expiry_slot for p in process.seen(AttemptPlanned))
    assert expired.observed_trade_seq == 0
    assert not process.seen(TradeConfirmed)
    process.chain.drops = False
    process.log.append(all_into_jup(trigger=2))
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=1)
    assert process.chain.trade_seq == 1


async def test_a_failure_on_chain_ends_nothing_and_is_recorded(process: Process) -> None:
    process.chain.fails_execution = 1
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=3)
    failed = process.seen(AttemptFailed)[0]
    assert (failed.stage, failed.attempt, failed.custom_code) == (AttemptStage.CHAIN, 1, 6024)
    assert len(process.seen(AttemptPlanned)) == 2
    assert len(process.chain.executed) == 1


async def test_a_failed_simulation_is_planned_again_with_another_number(process: Process) -> None:
    process.chain.fails_simulation = 2
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=1)
    assert [f.attempt for f in process.seen(AttemptFailed)] == [1, 2]
    assert [p.attempt for p in process.seen(AttemptPlanned)] == [3]


async def test_an_intent_that_can_never_be_planned_expires(process: Process) -> None:
    process.chain.fails_simulation = 1_000
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeExpired)), slots=3)
    assert len(process.seen(AttemptFailed)) == 4
    assert not process.seen(AttemptPlanned)
    assert process.signer.asked == 0
    assert process.seen(TradeExpired)[0].context_slot > process.seen(TradeIntended)[0].expiry_slot


async def test_a_final_refusal_of_the_signer_is_recorded_and_the_intent_expires(process: Process) -> None:
    process.signer.answers = [SignRefusal("MINIMUM_OUT_TOO_LOW", "", is_final=True)]
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeExpired)), slots=5)
    assert process.seen(AttemptFailed)[0].stage is AttemptStage.SIGNING
    assert process.signer.asked == 1
    assert not process.chain.sent


async def test_passing_troubles_of_signer_venue_and_chain_are_waited_out(process: Process) -> None:
    process.signer.answers = [SignerUnavailable("down"), SignRefusal("NOT_AUDITED", "", is_final=False)]
    process.chain.unreachable = 5
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=1)
    one_of_each(process)


async def test_a_wrong_quote_is_a_refusal(process: Process) -> None:
    process.venue.answers = [QuoteRefused(TradeRefusedReason.QUOTE_INVALID, "wrong mint")]
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeRefused)))
    assert process.seen(TradeRefused)[0].reason is TradeRefusedReason.QUOTE_INVALID
    process.log.append(all_into_jup(trigger=2))
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=1)


async def test_in_mode_observe_it_decides_and_never_plans(process: Process) -> None:
    process.mode = Mode.OBSERVE
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeRefused)))
    refused = process.seen(TradeRefused)[0]
    assert refused.reason is TradeRefusedReason.OBSERVE_MODE
    assert [v.passed for v in refused.verdicts][:-1] == [True] * (len(refused.verdicts) - 1)
    assert not process.seen(TradeIntended, AttemptPlanned)


@pytest.mark.parametrize("halt", [Halt.KILLED, Halt.NO_LEASE])
async def test_halted_it_intends_nothing(process: Process, halt: Halt) -> None:
    process.gate.halt = halt
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeRefused)))
    assert process.seen(TradeRefused)[0].reason.name == halt.name
    assert not process.seen(TradeIntended)


@pytest.mark.parametrize(
    ("reached", "never"),
    [(TradeIntended, AttemptPlanned), (AttemptPlanned, TradeSigned), (TradeSigned, TradeSubmitted)],
)
async def test_a_kill_at_any_point_stops_the_next_step_and_the_end_is_still_recorded(
    process: Process, reached: type[Fact], never: type[Fact]
) -> None:
    published = process.log.append

    def kill_when_reached(fact: Fact) -> Any:
        if isinstance(fact, reached):
            process.gate.halt = Halt.KILLED
        return published(fact)

    process.log.append = kill_when_reached  # type: ignore[method-assign]
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeExpired)), slots=5)
    assert not process.seen(never)
    assert not process.chain.sent


async def test_a_trade_in_flight_is_recorded_to_its_end_while_killed(process: Process) -> None:
    process.chain.drops = True
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeSubmitted)))
    process.gate.halt = Halt.KILLED
    sent = len(process.chain.sent)
    process.chain._execute(process.chain.sent[0])
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=1)
    assert len(process.chain.sent) == sent, "nothing is sent while killed"


async def test_a_frozen_vault_starts_nothing(process: Process) -> None:
    process.start()
    garbage = LogRecord(at("user-settings", 7), 1, VAULT, (), b"garbage")
    process.executor.hear(UndecodableRecord(garbage, "rubbish"))
    process.log.append(all_into_jup())
    for _ in range(20):
        await process.executor.watcher.tick()
        await asyncio.sleep(0)
    assert not process.seen(TradeIntended, TradeRefused)


async def test_only_the_latest_delta_counts(process: Process) -> None:
    for trigger in (1, 2, 3):
        process.log.append(all_into_jup(trigger=trigger))
    process.start()
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=1)
    assert len(process.seen(TradeIntended)) == 1


async def test_another_assignment_stops_work_and_a_new_reading_resumes_it(process: Process) -> None:
    process.chain.drops = True
    process.start()
    process.log.append(all_into_jup())
    await process.until(lambda: bool(process.seen(TradeSubmitted)))
    process.executor.begin_again()
    assert not process.executor.books.vaults
    process.chain.drops = False
    process.read = 0
    process._feed_once()
    process.executor.caught_up()
    await process.until(lambda: bool(process.seen(TradeFinalized)), slots=1)
    one_of_each(process)
