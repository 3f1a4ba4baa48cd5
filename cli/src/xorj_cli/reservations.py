"""What the signer's ledger is waiting for: attempts that were reserved and never signed, signatures not yet published.

1. Read with a role that may only select; nothing here frees anything (docs/runbooks/signer-stuck-reservation.md).
2. A reservation counts as stuck once it is older than `STUCK_S`, while its intent holds its sequence, nothing of that
   intent was signed and its vault has got no further.
"""

from typing import Any, Final

import asyncpg
from xorj_core.base58 import address_text

STUCK_S: Final = 10
UNPUBLISHED_S: Final = 10
SHOWN_MAX: Final = 50
_ANSWER_S_MAX: Final = 5.0

_STUCK = """
SELECT i.vault, i.trade_seq, i.intent_id, a.attempt, a.expiry_slot,
       extract(epoch FROM now() - a.reserved_at)::bigint AS waiting_s
  FROM attempt a JOIN intent i USING (intent_id)
 WHERE a.signed_fact IS NULL AND a.reserved_at < now() - make_interval(secs => $1) AND i.expired_fact_id IS NULL
   AND NOT EXISTS (SELECT FROM attempt s WHERE s.intent_id = a.intent_id AND s.signed_fact IS NOT NULL)
   AND NOT EXISTS (SELECT FROM intent later WHERE later.vault = i.vault AND later.trade_seq > i.trade_seq)
 ORDER BY a.reserved_at DESC LIMIT $2"""

_UNPUBLISHED = """
SELECT count(*) FROM attempt
 WHERE signed_fact IS NOT NULL AND published_offset IS NULL AND signed_at < now() - make_interval(secs => $1)"""


async def ledger_status(dsn: str, stuck_s: int = STUCK_S) -> dict[str, Any]:
    """Stuck reservations (the newest `SHOWN_MAX`) and how many signatures wait for the log.

    `problem` says why that cannot be told; the lists are then empty.
    """
    try:
        connection = await asyncpg.connect(dsn, timeout=_ANSWER_S_MAX, command_timeout=_ANSWER_S_MAX)
        try:
            stuck = await connection.fetch(_STUCK, stuck_s, SHOWN_MAX)
            unpublished = await connection.fetchval(_UNPUBLISHED, UNPUBLISHED_S)
        finally:
            await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return {"stuck": [], "unpublished": None, "problem": f"{type(error).__name__}: {error}"}
    return {"stuck": [_shown(row) for row in stuck], "unpublished": unpublished, "problem": None}


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "vault": address_text(row["vault"]),
        "trade_seq": row["trade_seq"],
        "intent_id": row["intent_id"].hex(),
        "attempt": row["attempt"],
        "expiry_slot": row["expiry_slot"],
        "waiting_s": row["waiting_s"],
    }
