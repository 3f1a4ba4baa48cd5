"""Owns what the key was used for: one living intent for each (vault, sequence), one message for each (intent, attempt).

1. A reservation is committed, synchronously, before the key is used for it.
2. The first intent that claims a sequence keeps it; another gets it only after an audited TradeExpired whose proof is
   later than the expiry of everything signed for the former. An intent that has lost its sequence never gets it back.
3. An attempt is bound to one message for ever; asking for the same bytes again finds the stored signature.
4. It is also the outbox: a signed row without a position on the log has yet to be published.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias, cast

import asyncpg
from xorj_contracts.codec import from_message, message_class, to_message
from xorj_core.facts import TradeSigned
from xorj_core.facts.common import Position
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.decide import Denied

SIGNED_TOPIC = "signed-txs"
_CONNECTIONS_MAX = 8
_COMMAND_S_MAX = 5.0

LEDGER_FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
"""What the database raises when it cannot answer."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one attempt wants to bind."""

    intent_id: bytes
    vault: bytes
    trade_seq: int
    attempt: int
    message_sha256: bytes
    expiry_slot: int
    value_micro_usd: int


@dataclass(frozen=True, slots=True)
class AuditedExpiry:
    """An intent's TradeExpired that the audit log holds, and the slot at which it was proven."""

    fact_id: bytes
    context_slot: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """The attempt is bound to these bytes; `stored` is the signature if there already is one."""

    stored: "StoredSignature | None"


@dataclass(frozen=True, slots=True)
class StoredSignature:
    """A completed row; `published` is None while the fact has yet to be published."""

    fact: TradeSigned
    published: Position | None


Expiries: TypeAlias = Callable[[bytes, int, bytes], AuditedExpiry | None]
"""Vault, sequence and intent id to the audited end of that intent, if there is one."""

_Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


class Ledger:
    """The signer's database. Every method raises one of LEDGER_FAULTS when it cannot be reached."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def __aenter__(self) -> Self:
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=1,
            max_size=_CONNECTIONS_MAX,
            timeout=_COMMAND_S_MAX,
            command_timeout=_COMMAND_S_MAX,
            server_settings={"synchronous_commit": "on", "application_name": "xorj-signer"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open_pool.close()

    @property
    def _open_pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        if self._pool is None:
            raise RuntimeError("the ledger is not open")
        return self._pool

    async def reserve(self, wanted: Reservation, expiries: Expiries) -> Reserved | Denied:
        """Bind the attempt to its bytes, or say what is bound already."""
        async with self._open_pool.acquire() as connection, connection.transaction():
            denied = await _claim_sequence(connection, wanted, expiries)
            if denied is not None:
                return denied
            inserted = await connection.fetchval(
                "INSERT INTO attempt (intent_id, attempt, message_sha256, expiry_slot) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT DO NOTHING RETURNING true",
                wanted.intent_id,
                wanted.attempt,
                wanted.message_sha256,
                wanted.expiry_slot,
            )
            if inserted:
                return Reserved(None)
            row = await connection.fetchrow(
                "SELECT * FROM attempt WHERE intent_id = $1 AND attempt = $2", wanted.intent_id, wanted.attempt
            )
        if row is None or row["message_sha256"] != wanted.message_sha256:
            return Denied(Reason.ATTEMPT_TAKEN, f"attempt {wanted.attempt} is bound to other bytes")
        return Reserved(None if row["signed_fact"] is None else _stored(row))

    async def complete(self, fact: TradeSigned) -> StoredSignature:
        """Store the signature of a reserved attempt; of two that do, the first one's fact is returned to both."""
        row = await self._open_pool.fetchrow(
            "UPDATE attempt SET signed_fact = $3, signed_at = now()"
            " WHERE intent_id = $1 AND attempt = $2 AND message_sha256 = $4 AND signed_fact IS NULL RETURNING *",
            fact.intent_id,
            fact.attempt,
            to_message(fact).SerializeToString(),
            fact.message_sha256,
        )
        if row is None:
            row = await self._open_pool.fetchrow(
                "SELECT * FROM attempt WHERE intent_id = $1 AND attempt = $2 AND message_sha256 = $3"
                " AND signed_fact IS NOT NULL",
                fact.intent_id,
                fact.attempt,
                fact.message_sha256,
            )
        if row is None:
            raise RuntimeError("a signature was made for an attempt that was not reserved")
        return _stored(row)

    async def mark_published(self, fact: TradeSigned, position: Position) -> None:
        """Remember where the fact stands on the log."""
        await self._open_pool.execute(
            "UPDATE attempt SET published_cluster_id = $3, published_partition = $4, published_offset = $5"
            " WHERE intent_id = $1 AND attempt = $2 AND published_offset IS NULL",
            fact.intent_id,
            fact.attempt,
            position.cluster_id,
            position.partition,
            position.offset,
        )

    async def unpublished(self, age_s_min: float, rows_max: int = 100) -> list[TradeSigned]:
        """Facts signed at least `age_s_min` seconds ago that are not known to be on the log, oldest first."""
        rows = await self._open_pool.fetch(
            "SELECT * FROM attempt WHERE signed_fact IS NOT NULL AND published_offset IS NULL"
            " AND signed_at <= now() - make_interval(secs => $1) ORDER BY signed_at LIMIT $2",
            age_s_min,
            rows_max,
        )
        return [_stored(row).fact for row in rows]


async def _claim_sequence(connection: _Connection, wanted: Reservation, expiries: Expiries) -> Denied | None:
    insert = (
        "INSERT INTO intent (intent_id, vault, trade_seq, value_micro_usd) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING RETURNING true"
    )
    values = (wanted.intent_id, wanted.vault, wanted.trade_seq, wanted.value_micro_usd)
    if await connection.fetchval(insert, *values):
        return None
    # The row lock keeps an attempt of the former intent from being reserved while its sequence is handed on.
    holder = await connection.fetchval(
        "SELECT intent_id FROM intent WHERE vault = $1 AND trade_seq = $2 AND expired_fact_id IS NULL FOR UPDATE",
        wanted.vault,
        wanted.trade_seq,
    )
    if holder == wanted.intent_id:
        return None
    taken = Denied(Reason.SEQUENCE_TAKEN, f"sequence {wanted.trade_seq} belongs to another intent")
    if holder is None:
        return taken
    expiry = expiries(wanted.vault, wanted.trade_seq, holder)
    latest = await connection.fetchval("SELECT max(expiry_slot) FROM attempt WHERE intent_id = $1", holder)
    if expiry is None or (latest is not None and expiry.context_slot <= latest):
        return taken
    await connection.execute("UPDATE intent SET expired_fact_id = $2 WHERE intent_id = $1", holder, expiry.fact_id)
    if await connection.fetchval(insert, *values):
        return None
    # This intent itself had lost the sequence before. That its holder has expired is true all the same, and stays.
    return taken


def _stored(row: asyncpg.Record) -> StoredSignature:
    message = message_class(TradeSigned).FromString(row["signed_fact"])
    published = None
    if row["published_offset"] is not None:
        published = Position(
            row["published_cluster_id"], SIGNED_TOPIC, row["published_partition"], row["published_offset"]
        )
    return StoredSignature(cast(TradeSigned, from_message(TradeSigned, message)), published)
