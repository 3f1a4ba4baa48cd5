"""The ledger as its database keeps it: batches, caps that survive restarts, counters that only grow."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from xorj_cli.reservations import ledger_status
from xorj_core.base58 import address_text
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.decide import Denied
from xorj_core.policy.windows import Demand, ScopeKind, Span, Window
from xorj_localnet.world import World
from xorj_signer.ledger import LEDGER_FAULTS, Ledger, Reservation, Reserved

from tests.signer.trades import some_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW_MS = 1_900_000_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(world: World) -> AsyncIterator[Ledger]:
    async with Ledger(world.database.dsn("signer")) as opened:
        yield opened


def of(name: str, number: int, *, caps: tuple[int, int, int] | None = None, now_ms: int = NOW_MS) -> Reservation:
    """A first attempt of a vault of its own, worth 10 and 7 lamports, counted in the window `name` if it has caps."""
    window = Window(ScopeKind.MINT, some_key(name), Span.MINUTE)
    demands = () if caps is None else (Demand(window, *caps),)
    subject = some_key(f"{name} {number}")
    return Reservation(subject, subject, 1, 1, some_key("message"), 100, 10, 7, now_ms, demands)


async def reserve(ledger: Ledger, wanted: Reservation) -> Reserved | Denied:
    return await ledger.reserve(wanted, lambda *_: None)


def reasons(outcomes: list[Reserved | Denied]) -> list[Reason]:
    return [outcome.reason for outcome in outcomes if isinstance(outcome, Denied)]


async def test_of_many_at_once_no_more_than_the_cap_are_reserved(ledger: Ledger) -> None:
    wanted = [of("crowded", n, caps=(20, 10**9, 10**9)) for n in range(64)]
    outcomes = await asyncio.gather(*(reserve(ledger, item) for item in wanted))
    assert reasons(outcomes) == [Reason.WINDOW_CAP] * 44


async def test_two_signers_share_their_caps(ledger: Ledger, world: World) -> None:
    async with Ledger(world.database.dsn("signer")) as other:
        wanted = [of("shared", n, caps=(10**9, 300, 10**9)) for n in range(64)]
        asked = (reserve(one, item) for item, one in zip(wanted, [ledger, other] * 32, strict=True))
        outcomes = await asyncio.gather(*asked)
    assert reasons(outcomes) == [Reason.WINDOW_CAP] * 34


async def test_caps_survive_a_restart(world: World) -> None:
    for refused in (False, True):
        async with Ledger(world.database.dsn("signer")) as started:
            outcome = await reserve(started, of("restarted", int(refused), caps=(1, 10**9, 10**9)))
            assert isinstance(outcome, Denied) == refused


async def test_lamports_are_capped_over_all_attempts(ledger: Ledger) -> None:
    first = of("outflow", 0, caps=(10**9, 10**9, 20))
    attempts = [dataclasses.replace(first, attempt=n) for n in (1, 2, 3)]
    assert reasons([await reserve(ledger, item) for item in attempts]) == [Reason.OUTFLOW_CAP]


async def test_a_refusal_leaves_no_row(ledger: Ledger, world: World) -> None:
    refused = of("full", 0, caps=(0, 0, 0))
    assert isinstance(await reserve(ledger, refused), Denied)
    connection = await asyncpg.connect(world.database.dsn("signer"))
    try:
        for table in ("intent", "attempt"):
            sql = f"SELECT count(*) FROM {table} WHERE intent_id = $1"
            assert await connection.fetchval(sql, refused.intent_id) == 0
    finally:
        await connection.close()
    again = dataclasses.replace(refused, demands=())
    assert isinstance(await reserve(ledger, again), Reserved), "nothing blocks the vault"


async def test_what_cannot_be_stored_fails_alone(ledger: Ledger) -> None:
    good = [of("beside a bad one", n) for n in range(8)]
    bad = [
        dataclasses.replace(of("bad", 0), trade_seq=0),  # a check of the table refuses it
        dataclasses.replace(of("bad", 1), trade_seq=2**70),  # no bigint
        dataclasses.replace(of("bad", 2), vault=b"short"),
    ]
    asked = [*good[:4], *bad, *good[4:]]
    outcomes = await asyncio.gather(*(reserve(ledger, item) for item in asked), return_exceptions=True)
    assert [type(outcome).__name__ for item, outcome in zip(asked, outcomes, strict=True) if item in good] == (
        ["Reserved"] * 8
    )
    assert all(isinstance(outcome, Exception) for item, outcome in zip(asked, outcomes, strict=True) if item in bad)


class _Confused(Ledger):
    """Its first commit ends as asyncpg ends one whose server was killed within it."""

    faults = 1

    async def _commit(self, batch: Any) -> Any:
        if self.faults:
            self.faults -= 1
            raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")
        return await super()._commit(batch)


async def test_a_commit_that_breaks_the_client_fails_its_batch_and_not_the_ledger(world: World) -> None:
    async with _Confused(world.database.dsn("signer")) as confused:
        wanted = of("confused", 0)
        with pytest.raises(LEDGER_FAULTS):
            await reserve(confused, wanted)
        assert await reserve(confused, wanted) == Reserved(None)


async def test_whoever_leaves_a_batch_takes_nobody_along(ledger: Ledger) -> None:
    tasks = [asyncio.create_task(reserve(ledger, of("leaving", n))) for n in range(16)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[1::2] == [Reserved(None)] * 8


async def test_a_clock_that_goes_back_resets_no_window(ledger: Ledger) -> None:
    caps = (1, 10**9, 10**9)
    assert isinstance(await reserve(ledger, of("clock", 0, caps=caps)), Reserved)
    for number, elsewhen in enumerate((0, NOW_MS - 10**9, NOW_MS), start=1):
        assert isinstance(await reserve(ledger, of("clock", number, caps=caps, now_ms=elsewhen)), Denied)


async def test_a_window_is_free_again_after_its_span_and_a_bucket(ledger: Ledger) -> None:
    caps, later = (1, 10**9, 10**9), NOW_MS + 10_000_000
    outcomes = [
        await reserve(ledger, of("sliding", number, caps=caps, now_ms=later + ms))
        for number, ms in enumerate((0, 60_000, 61_000))
    ]
    assert [isinstance(outcome, Denied) for outcome in outcomes] == [False, True, False]


async def test_a_reservation_that_nobody_signed_shows_in_the_status_until_its_vault_goes_on(
    ledger: Ledger, world: World
) -> None:
    dsn, left = world.database.dsn("signer_reader"), of("left behind", 0)
    await reserve(ledger, left)
    shown = (await ledger_status(dsn, stuck_s=0))["stuck"]
    assert (address_text(left.vault), 1, 1, 100) in {
        (item["vault"], item["trade_seq"], item["attempt"], item["expiry_slot"]) for item in shown
    }
    assert (await ledger_status(dsn))["stuck"] == [], "younger ones are still under way"
    after = dataclasses.replace(left, intent_id=some_key("after"), trade_seq=2)
    await reserve(ledger, after)
    vaults = [(item["vault"], item["trade_seq"]) for item in (await ledger_status(dsn, stuck_s=0))["stuck"]]
    assert vaults.count((address_text(left.vault), 1)) == 0
    assert vaults.count((address_text(left.vault), 2)) == 1


async def test_a_ledger_that_does_not_answer_is_said_so() -> None:
    told = await ledger_status("postgresql://nobody@127.0.0.1:1/nothing")
    assert told["stuck"] == []
    assert told["problem"]


async def test_the_signers_role_cannot_take_back_what_was_counted(ledger: Ledger, world: World) -> None:
    await reserve(ledger, of("counted", 0, caps=(9, 10**9, 10**9)))
    connection = await asyncpg.connect(world.database.dsn("signer"))
    try:
        for statement in (
            "DELETE FROM spent",
            "UPDATE spent SET trades = 0",
            "UPDATE spent SET value_micro_usd = value_micro_usd - 1",
            "UPDATE spent SET lamports = 0",
            "UPDATE spent SET bucket = 0",
            "UPDATE ledger_clock SET now_ms = 0",
            "INSERT INTO ledger_clock (now_ms) VALUES (0)",
            "TRUNCATE spent",
        ):
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.RaiseError)):
                await connection.execute(statement)
    finally:
        await connection.close()
