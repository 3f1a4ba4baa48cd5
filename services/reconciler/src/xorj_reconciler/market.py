"""The newest ranking and the newest reference prices: whole on every instance, in memory, read without a group.

1. A ranking that was refused, or a record that cannot be read, leaves the last good ranking in force.
2. Of prices only the end of the topic is read: older ones are older than any age bound. Of rankings the whole topic is.
"""

from collections.abc import Callable
from typing import Final

from xorj_core.facts import RankingObserved, ReferencePriceObserved
from xorj_core.reconcile import SeenPrice
from xorj_log.inbox import FactRecord, Inbox, Incoming
from xorj_log.reader import LogReader

PRICES_READ_AT_START: Final = 5_000


class Market:
    """What every vault is compared with."""

    def __init__(self) -> None:
        self.ranking: RankingObserved | None = None
        self.ranking_fact_id = b""
        self.prices: dict[bytes, SeenPrice] = {}
        self.caught_up = False

    def fold(self, item: Incoming) -> bool:
        """Take a record into account; true if it brought a new ranking. What is not understood changes nothing."""
        if not isinstance(item, FactRecord):
            return False
        match item.fact:
            case RankingObserved() as fact:
                self.ranking, self.ranking_fact_id = fact, item.envelope.fact_id
                return True
            case ReferencePriceObserved() as fact:
                self.prices[fact.mint] = SeenPrice(
                    item.envelope.fact_id, fact.price_pico_usd, fact.decimals, item.record.timestamp_ms
                )
            case _:
                pass
        return False

    async def follow(self, reader: LogReader, inbox: Inbox, on_ranking: Callable[[], None]) -> None:
        """Read both topics until cancelled; `caught_up` once everything that stood on them at the start is folded."""
        ends = await reader.end_offsets()
        for (topic, partition), end in ends.items():
            if topic == "prices" and end > PRICES_READ_AT_START:
                reader.seek(topic, partition, end - PRICES_READ_AT_START)
        while True:
            rankings = [self.fold(item) for item in await inbox.read()]
            if any(rankings):
                on_ranking()
            if not self.caught_up:
                self.caught_up = await reader.has_reached(ends)
