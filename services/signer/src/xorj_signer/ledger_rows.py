"""The ledger's statements: each for a whole batch, within a transaction that the caller holds.

1. Numbers of statements do not grow with the batch.
2. Nothing is decided here: `book` decides.
"""

from collections.abc import Sequence
from typing import TypeAlias, cast

import asyncpg
from xorj_contracts.codec import from_message, message_class, to_message
from xorj_core.facts import TradeSigned
from xorj_core.facts.common import Position
from xorj_core.policy.windows import Spent, bucket_of, oldest_bucket

from xorj_signer.book import Book, BoundAttempt, Reservation, StoredSignature, windows_of

SIGNED_TOPIC = "signed-txs"

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record] "
    "| asyncpg.Pool[asyncpg.Record]"
)

_INTENTS = """
SELECT i.intent_id, i.vault, i.trade_seq, i.expired_fact_id IS NULL AS living
  FROM unnest($1::bytea[]) wanted (intent_id) JOIN intent i USING (intent_id)
 UNION
SELECT holder.intent_id, wanted.vault, wanted.trade_seq, true
  FROM unnest($2::bytea[], $3::bigint[]) wanted (vault, trade_seq)
 CROSS JOIN LATERAL (
       SELECT i.intent_id FROM intent i
        WHERE (i.vault, i.trade_seq) = (wanted.vault, wanted.trade_seq) AND i.expired_fact_id IS NULL LIMIT 1) holder"""
"""At most one living intent holds a sequence (a unique index). It is looked up for each: the planner believes that few
intents live, and a plain join reads all of them for every batch."""

_ATTEMPTS = "SELECT a.* FROM unnest($1::bytea[]) wanted (intent_id) JOIN attempt a USING (intent_id)"

_HELD = """
SELECT wanted.place, sum(s.trades)::bigint AS trades, sum(s.value_micro_usd)::bigint AS value_micro_usd,
       sum(s.lamports)::bigint AS lamports
  FROM unnest($1::smallint[], $2::bytea[], $3::smallint[], $4::bigint[]) WITH ORDINALITY
       wanted (kind, subject, span, oldest, place)
  JOIN spent s ON (s.kind, s.subject, s.span) = (wanted.kind, wanted.subject, wanted.span) AND s.bucket >= wanted.oldest
 GROUP BY wanted.place"""

_ADD = """
WITH new_intents AS (
    INSERT INTO intent (intent_id, vault, trade_seq, value_micro_usd, expired_fact_id)
    SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bytea[])
), new_attempts AS (
    INSERT INTO attempt (intent_id, attempt, message_sha256, expiry_slot, outflow_lamports)
    SELECT * FROM unnest($6::bytea[], $7::integer[], $8::bytea[], $9::bigint[], $10::bigint[])
)
INSERT INTO spent AS s (kind, subject, span, bucket, trades, value_micro_usd, lamports)
SELECT * FROM unnest($11::smallint[], $12::bytea[], $13::smallint[], $14::bigint[], $15::bigint[], $16::bigint[],
                     $17::bigint[])
    ON CONFLICT (kind, subject, span, bucket) DO UPDATE
   SET trades = s.trades + excluded.trades, value_micro_usd = s.value_micro_usd + excluded.value_micro_usd,
       lamports = s.lamports + excluded.lamports"""

_COMPLETE = """
UPDATE attempt a SET signed_fact = signed.fact, signed_at = now()
  FROM unnest($1::bytea[], $2::integer[], $3::bytea[], $4::bytea[]) signed (intent_id, attempt, message_sha256, fact)
 WHERE (a.intent_id, a.attempt, a.message_sha256) = (signed.intent_id, signed.attempt, signed.message_sha256)
   AND a.signed_fact IS NULL
RETURNING a.intent_id, a.attempt"""

_MARK = """
UPDATE attempt a SET published_cluster_id = seen.cluster_id, published_partition = seen.partition,
       published_offset = seen.log_offset
  FROM unnest($1::bytea[], $2::integer[], $3::text[], $4::integer[], $5::bigint[])
       seen (intent_id, attempt, cluster_id, partition, log_offset)
 WHERE (a.intent_id, a.attempt) = (seen.intent_id, seen.attempt) AND a.published_offset IS NULL"""


async def lock_clock(connection: Connection, now_ms: int) -> int:
    """The time to count by, never before any earlier one; no other batch of reservations runs until the commit."""
    sql = "UPDATE ledger_clock SET now_ms = greatest(now_ms, $1) RETURNING now_ms"
    return cast(int, await connection.fetchval(sql, now_ms))


async def read_book(connection: Connection, wanted: Sequence[Reservation], now_ms: int) -> Book:
    """All that the ledger holds about the intents, sequences and windows of a batch."""
    book = Book()
    found = await connection.fetch(
        _INTENTS,
        [item.intent_id for item in wanted],
        [item.vault for item in wanted],
        [item.trade_seq for item in wanted],
    )
    for row in found:
        book.intents.add(row["intent_id"])
        if row["living"]:
            book.holders[(row["vault"], row["trade_seq"])] = row["intent_id"]
    if book.intents:
        for row in await connection.fetch(_ATTEMPTS, list(book.intents)):
            stored = None if row["signed_fact"] is None else _stored(row)
            bound = BoundAttempt(row["message_sha256"], row["expiry_slot"], stored)
            book.attempts.setdefault(row["intent_id"], {})[row["attempt"]] = bound
    windows = list(windows_of(wanted))
    if windows:
        held = await connection.fetch(
            _HELD,
            [int(window.kind) for window in windows],
            [window.subject for window in windows],
            [int(window.span) for window in windows],
            [oldest_bucket(window.span, now_ms) for window in windows],
        )
        for row in held:
            book.held[windows[row["place"] - 1]] = Spent(row["trades"], row["value_micro_usd"], row["lamports"])
    return book


async def write_book(connection: Connection, book: Book, now_ms: int) -> None:
    """Add what a batch has bound and counted."""
    new = {item.intent_id for item in book.new_intents}
    for intent_id, fact_id in book.freed.items():
        if intent_id not in new:
            sql = "UPDATE intent SET expired_fact_id = $2 WHERE intent_id = $1"
            await connection.execute(sql, intent_id, fact_id)
    if not book.new_attempts:
        return
    intents, attempts, counted = book.new_intents, book.new_attempts, book.counted.items()
    await connection.execute(
        _ADD,
        [item.intent_id for item in intents],
        [item.vault for item in intents],
        [item.trade_seq for item in intents],
        [item.value_micro_usd for item in intents],
        [book.freed.get(item.intent_id) for item in intents],
        [item.intent_id for item in attempts],
        [item.attempt for item in attempts],
        [item.message_sha256 for item in attempts],
        [item.expiry_slot for item in attempts],
        [item.outflow_lamports for item in attempts],
        [int(window.kind) for window, _ in counted],
        [window.subject for window, _ in counted],
        [int(window.span) for window, _ in counted],
        [bucket_of(window.span, now_ms) for window, _ in counted],
        [spent.trades for _, spent in counted],
        [spent.value_micro_usd for _, spent in counted],
        [spent.lamports for _, spent in counted],
    )


async def complete(connection: Connection, facts: Sequence[TradeSigned]) -> list[StoredSignature | RuntimeError]:
    """Store signatures; for each fact what is stored now, or the error of one that was never reserved."""
    first: dict[tuple[bytes, int], TradeSigned] = {}
    for fact in facts:
        first.setdefault((fact.intent_id, fact.attempt), fact)
    updated = await connection.fetch(
        _COMPLETE,
        [intent_id for intent_id, _ in first],
        [attempt for _, attempt in first],
        [fact.message_sha256 for fact in first.values()],
        [to_message(fact).SerializeToString() for fact in first.values()],
    )
    stored = {(row["intent_id"], row["attempt"]) for row in updated}
    found = {key: StoredSignature(fact, None) for key, fact in first.items() if key in stored}
    if len(found) < len(first):
        earlier = [intent_id for intent_id, attempt in first if (intent_id, attempt) not in stored]
        for row in await connection.fetch(_ATTEMPTS, earlier):
            if row["signed_fact"] is not None:
                found.setdefault((row["intent_id"], row["attempt"]), _stored(row))
    return [_of_same_bytes(found.get((fact.intent_id, fact.attempt)), fact) for fact in facts]


def _of_same_bytes(stored: StoredSignature | None, fact: TradeSigned) -> StoredSignature | RuntimeError:
    if stored is None or stored.fact.message_sha256 != fact.message_sha256:
        return RuntimeError("a signature was made for an attempt that was not reserved")
    return stored


async def mark_published(connection: Connection, marks: Sequence[tuple[TradeSigned, Position]]) -> None:
    """Note where facts stand on the log, where that is not noted yet."""
    await connection.execute(
        _MARK,
        [fact.intent_id for fact, _ in marks],
        [fact.attempt for fact, _ in marks],
        [position.cluster_id for _, position in marks],
        [position.partition for _, position in marks],
        [position.offset for _, position in marks],
    )


async def unpublished(connection: Connection, age_s_min: float, rows_max: int) -> list[TradeSigned]:
    """Signed facts without a position that are at least so old, oldest first."""
    found = await connection.fetch(
        "SELECT * FROM attempt WHERE signed_fact IS NOT NULL AND published_offset IS NULL"
        " AND signed_at <= now() - make_interval(secs => $1) ORDER BY signed_at LIMIT $2",
        age_s_min,
        rows_max,
    )
    return [_stored(row).fact for row in found]


def _stored(row: asyncpg.Record) -> StoredSignature:
    message = message_class(TradeSigned).FromString(row["signed_fact"])
    published = None
    if row["published_offset"] is not None:
        published = Position(
            row["published_cluster_id"], SIGNED_TOPIC, row["published_partition"], row["published_offset"]
        )
    return StoredSignature(cast(TradeSigned, from_message(TradeSigned, message)), published)
