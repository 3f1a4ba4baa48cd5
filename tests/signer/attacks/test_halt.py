"""Attacks on audit cover, lease and kill switch: heartbeats replayed and forged, a kill in the middle of a storm."""

import asyncio
import dataclasses
import os
import time

import pytest
from xorj.signer.v1 import signer_pb2
from xorj_core.facts import AuditHeartbeat, Echo, ServiceHeartbeat
from xorj_core.facts.common import Position
from xorj_halt.commands import kill_command
from xorj_halt.keys import load_seed
from xorj_halt.signatures import signed_audit_heartbeat
from xorj_log.inbox import FactRecord, read_record
from xorj_log.reader import LogReader, LogRecord
from xorj_log.writer import PublishUnknown

from tests.signer.attacks.fortress import OWNED, Fortress, until
from tests.signer.rig import RefusedCall
from tests.signer.trades import honest_trade, new_owner
from tests.worlds import connection_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPLAYED = 40
"""More heartbeats than a lease is long."""


@dataclasses.dataclass(slots=True)
class Heard:
    """What an eavesdropper on heartbeats has kept."""

    records: list[LogRecord]
    last: AuditHeartbeat
    counter: int  # the newest of the signer


async def eavesdrop(fortress: Fortress) -> Heard:
    """The latest heartbeats of auditor and signer, as they stand on the log."""
    records: list[LogRecord] = []
    last: AuditHeartbeat | None = None
    counter = 0
    async with LogReader(connection_of(fortress.running.world, "auditor"), ("heartbeats",)) as reader:
        ends = await reader.end_offsets()
        while not await reader.has_reached(ends):
            for record in await reader.read():
                item = read_record(record)
                assert isinstance(item, FactRecord)
                if isinstance(item.fact, AuditHeartbeat):
                    records, last = [*records[-(REPLAYED - 1) :], record], item.fact
                elif isinstance(item.fact, ServiceHeartbeat) and item.fact.service == "signer":
                    counter = max(counter, item.fact.counter)
    assert last is not None
    assert counter
    return Heard(records, last, counter)


async def replay(fortress: Fortress, heard: Heard) -> None:
    """Every old heartbeat again, byte for byte, in order."""
    for record in heard.records:
        await fortress.writers["executor"].append("heartbeats", record.key, record.value or b"", record.headers)


async def forge(fortress: Fortress, heard: Heard) -> None:
    """A heartbeat that covers everything and echoes the signer, signed by each key that the attacker has."""
    covered = tuple(dataclasses.replace(part, next_offset=2**40) for part in heard.last.covered)
    echoes = tuple(Echo(f"signer/{name}", heard.counter + ahead) for name in ("1",) for ahead in (0, 5, 10))
    for number, name in enumerate((*OWNED[:3], "operator-1", "operator-2")):
        seed = load_seed(fortress.running.world.keys.named(name).seed_file)
        now = time.time_ns() // 1000 + number
        wish = dataclasses.replace(heard.last, covered=covered, echoes=echoes, sent_at_us=now)
        theirs = signed_audit_heartbeat(wish, seed)
        await fortress.publish("executor", theirs)
        claimed = dataclasses.replace(theirs, key_id=heard.last.key_id)
        await fortress.publish("executor", dataclasses.replace(claimed, sent_at_us=now + 100_000))


async def test_replayed_and_forged_heartbeats_cover_nothing_and_extend_no_lease(fortress: Fortress) -> None:
    stored, _ = await fortress.sign(honest_trade(fortress.bot))
    heard = await eavesdrop(fortress)
    trade = honest_trade(fortress.bot)
    fortress.running.world.pause("auditor")
    try:
        unseen = await fortress.publish_trade(trade)
        refused = await fortress.refusal(stored, until="NO_LEASE")
        assert refused.reason == "NO_LEASE"
        for _ in range(3):
            await replay(fortress, heard)
            await forge(fortress, heard)
            reasons = [(await once(fortress, stored)).reason for _ in range(10)]
            assert reasons == ["NO_LEASE"] * 10
        assert (await once(fortress, unseen)).reason == "NOT_AUDITED"
    finally:
        fortress.running.world.resume("auditor")
    fortress.lawful(trade.plan)
    assert isinstance(await fortress.running.answer(unseen), signer_pb2.SignTradeResponse)


async def once(fortress: Fortress, positions: list[Position]) -> RefusedCall:
    """The refusal of a single call."""
    with pytest.raises(RefusedCall) as refused:
        await fortress.ask(*positions)
    return refused.value


async def test_nobody_but_its_writer_may_write_what_the_signer_believes(fortress: Fortress) -> None:
    """The broker's part: an executor that was taken over publishes neither prices nor settings nor commands."""
    for topic in ("prices", "user-settings", "signed-txs", "portfolio-deltas"):
        with pytest.raises(PublishUnknown, match="Authorization"):
            await fortress.writers["executor"].append(topic, b"k" * 32, b"anything")


async def test_a_kill_in_the_middle_of_a_storm_ends_it_for_its_vault(fortress: Fortress) -> None:
    owner = new_owner()
    trades = [honest_trade(fortress.bot, owner=owner, seq=seq, settings_version=seq) for seq in range(1, 25)]
    fortress.lawful(*(trade.plan for trade in trades))
    positions = [await fortress.publish_trade(trade) for trade in trades]
    first = await fortress.running.answer(positions[0])
    assert isinstance(first, signer_pb2.SignTradeResponse), first
    operator = load_seed(fortress.running.world.keys.named("operator-1").seed_file)
    kill = kill_command(
        operator,
        "a test",
        command_id=os.urandom(16),
        issued_at_us=time.time_ns() // 1000,
        vault=trades[0].intent.vault,
    )
    storm = [asyncio.create_task(fortress.running.answer(pair)) for pair in positions[1:]]
    (killed_at,) = await fortress.publish("operator", kill)
    await asyncio.gather(*storm)
    async for _ in until("the kill to be obeyed"):
        if (await fortress.running.answer(positions[0], until="KILLED")).reason == "KILLED":  # type: ignore[union-attr]
            break
    after = await asyncio.gather(*(once(fortress, pair) for pair in positions))
    assert {refused.reason for refused in after} == {"KILLED"}
    mine = [fact for fact in await fortress.signed() if fact.vault == trades[0].intent.vault]
    assert all(fact.control_offset <= killed_at.offset for fact in mine)
    await fortress.sign(honest_trade(fortress.bot))  # another vault trades on
