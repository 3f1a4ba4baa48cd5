"""Thousands of trades under load: nothing was signed before the audit log held what it rests on."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from xorj_auditor.rows import SELECT, entry_of
from xorj_auditor.verify import verify
from xorj_cli.bench.trade import TradeBench, TradeWish, bench_world
from xorj_contracts.codec import Decoded, decode
from xorj_core.audit_chain import AuditEntry, EntryKind
from xorj_core.facts import AttemptPlanned, TradeIntended, TradeSigned
from xorj_localnet.market.tokens import JUP, USDC
from xorj_log.reader import LogReader

from tests.worlds import connection_of

VAULTS = 100
TRADES_MIN = 2_000
MOVES_MAX = 60
"""A move is a trade of every vault; on a busy machine some are refused, and made up for by further moves."""

HEARTBEATS_PER_S_MAX = 210
"""At most one every 5 ms, and one every 100 ms where nothing else is said."""


@pytest.mark.slow
@pytest.mark.timeout(1_800)
async def test_intent_and_attempt_are_in_the_log_before_their_signature_is_made() -> None:
    async with bench_world("with_slot_waits", TradeWish(VAULTS), print) as bench:
        confirmed = moves = 0
        while confirmed < TRADES_MIN:
            assert moves < MOVES_MAX, f"{confirmed} trades after {moves} moves"
            name, mint = (("jup", JUP.mint), ("usdc", USDC.mint))[moves % 2]
            _, stories = await bench.move_all(name, mint)
            confirmed, moves = confirmed + len(stories), moves + 1
        entries, checkpoints = await stored(bench)
        check_order(entries, checkpoints)
        check_heartbeats(entries, await heartbeats(bench))
        assert (await verify(dsn(bench))).verified


def check_order(entries: Sequence[AuditEntry], checkpoints: Sequence[int]) -> None:
    """Position in the log, and the signer's clock against the auditor's, for every signature."""
    intents: dict[bytes, AuditEntry] = {}
    attempts: dict[tuple[bytes, int], AuditEntry] = {}
    signatures = 0
    for entry in entries:
        decoded = understood(entry)
        match decoded.fact if decoded is not None else None:
            case TradeIntended() as intent:
                intents[intent.intent_id] = entry
            case AttemptPlanned() as attempt:
                attempts[(attempt.intent_id, attempt.attempt)] = entry
            case TradeSigned() as signed:
                assert decoded is not None
                signatures += 1
                for before in (intents[signed.intent_id], attempts[(signed.intent_id, signed.attempt)]):
                    assert before.index < entry.index
                    assert before.appended_at_us < decoded.envelope.decided_at_us
                    assert before.appended_at_us <= entry.appended_at_us
                assert any(size > entry.index for size in checkpoints)
    assert signatures >= TRADES_MIN


def check_heartbeats(entries: Sequence[AuditEntry], count: int) -> None:
    """No storm: the auditor says no more than it may, however much is committed."""
    seconds = (entries[-1].appended_at_us - entries[0].appended_at_us) / 1_000_000
    services_per_s = 6 * 12
    assert count / seconds < HEARTBEATS_PER_S_MAX + services_per_s


def understood(entry: AuditEntry) -> Decoded | None:
    if entry.kind is not EntryKind.RECORD or entry.topic not in {"trade-intents", "signed-txs"}:
        return None
    return decode(entry.value)


def dsn(bench: TradeBench) -> str:
    return bench.small.database.dsn("audit_reader")


async def stored(bench: TradeBench) -> tuple[list[AuditEntry], list[int]]:
    connection: Any = await asyncpg.connect(dsn(bench))
    try:
        entries = [entry_of(row) for row in await connection.fetch(f"{SELECT} ORDER BY entry_index")]
        sizes = [row[0] for row in await connection.fetch("SELECT size FROM audit_checkpoints ORDER BY size")]
    finally:
        await connection.close()
    return entries, sizes


async def heartbeats(bench: TradeBench) -> int:
    """How many records the heartbeats topic has had."""
    async with LogReader(connection_of(bench.small, "operator"), ("heartbeats",)) as reader:
        return (await reader.end_offsets())[("heartbeats", 0)]
