"""Publishes signatures that the ledger holds and the log does not: at start and again and again, also while killed.

1. Recording is not acting: what was signed becomes known, whatever has happened since.
2. A fact may be published twice, never not at all; readers tell by its fact id.
"""

import asyncio

import structlog
from xorj_log.writer import LogWriter, PublishUnknown

from xorj_signer.ledger import LEDGER_FAULTS, Ledger

PERIOD_S = 1.0
IN_FLIGHT_S = 6.0
"""Younger rows may still be on their way from the request that made them (a publish takes at most 5 s)."""

log = structlog.get_logger()


async def publish_unpublished(ledger: Ledger, writer: LogWriter, age_s_min: float) -> int:
    """Publish what is outstanding; returns how many facts. Raises `PublishUnknown` and LEDGER_FAULTS."""
    facts = await ledger.unpublished(age_s_min)
    for fact in facts:
        await ledger.mark_published(fact, await writer.publish(fact))
        log.info("published_from_ledger", trade_id=fact.trade_id.hex(), attempt=fact.attempt)
    return len(facts)


async def run_outbox(ledger: Ledger, writer: LogWriter, period_s: float = PERIOD_S) -> None:
    """For ever; faults of database and log are tried again."""
    age_s_min = 0.0
    while True:
        try:
            await publish_unpublished(ledger, writer, age_s_min)
            age_s_min = IN_FLIGHT_S
        except (PublishUnknown, *LEDGER_FAULTS) as error:
            log.warning("outbox_waits", error=f"{type(error).__name__}: {error}")
        await asyncio.sleep(period_s)
