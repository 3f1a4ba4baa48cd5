"""Folds what the signer must know by itself: reference prices, owners' settings, ends of intents.

1. Settings are judged signed once, when they are read: by the vault's own owner, for this cluster and vault program.
2. The highest version of a vault's settings counts. A settings record that cannot be read freezes its vault until a
   newer version can be: an owner's "disable" must not be skipped by an older build. Unsigned settings count for their
   version like others, and allow nothing.
3. A price is known by its fact id, with the broker's append time of its first record.
4. Of each vault only the expiries of its newest sequence are kept; older ones can no longer be asked for.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from xorj_core.facts import ReferencePriceObserved, SettingsChanged, TradeExpired
from xorj_core.facts.common import Position
from xorj_core.owner_settings import Deployment, has_owner_signed
from xorj_core.policy.decide import SeenPrice
from xorj_halt.strict import verify_ed25519
from xorj_log.inbox import FactRecord, Inbox, Incoming
from xorj_log.reader import LogReader
from xorj_log.writer import LogWriter

TOPICS = ("prices", "user-settings", "confirmations")
PRICES_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Expiry:
    """A TradeExpired, and where it stands on the log."""

    fact_id: bytes
    context_slot: int
    position: Position


class Knowledge:
    """The fold; `absorb` from one task, reads from any task of the same loop."""

    def __init__(self, deployment: Deployment) -> None:
        self.newest_ms = 0
        self._deployment = deployment
        self._signed: set[bytes] = set()
        self._settings: dict[bytes, SettingsChanged] = {}
        self._frozen: set[bytes] = set()
        self._prices: OrderedDict[bytes, SeenPrice] = OrderedDict()
        self._expired: dict[bytes, tuple[int, dict[bytes, Expiry]]] = {}
        self._changed = asyncio.Condition()

    @property
    def genesis_hash(self) -> bytes:
        """Of the cluster for which owners must have signed their settings; 32 bytes."""
        return self._deployment.genesis_hash

    def settings(self, vault: bytes) -> SettingsChanged | None:
        """The vault's settings; None if there are none or its vault is frozen."""
        return None if vault in self._frozen else self._settings.get(vault)

    def settings_signed(self, vault: bytes) -> bool:
        """Whether the vault's settings are signed by its owner."""
        return vault in self._signed

    def price(self, fact_id: bytes) -> SeenPrice | None:
        """The price fact with this id."""
        return self._prices.get(fact_id)

    def expiry(self, vault: bytes, trade_seq: int, intent_id: bytes) -> Expiry | None:
        """How this intent is said to have expired."""
        seq, found = self._expired.get(vault, (0, {}))
        return found.get(intent_id) if seq == trade_seq else None

    async def wait_for_prices(self, fact_ids: Iterable[bytes], timeout_s: float) -> bool:
        """Whether all these prices are known, at the latest after `timeout_s`: they may still be on their way."""
        wanted = tuple(fact_ids)
        if all(fact_id in self._prices for fact_id in wanted):
            return True
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: all(fact_id in self._prices for fact_id in wanted))
        except TimeoutError:
            return False
        return True

    async def absorb(self, items: Iterable[Incoming]) -> None:
        """Fold records in the order in which they were read."""
        for item in items:
            self._absorb(item)
        async with self._changed:
            self._changed.notify_all()

    def _absorb(self, item: Incoming) -> None:
        record = item.record
        self.newest_ms = max(self.newest_ms, record.timestamp_ms)
        if not isinstance(item, FactRecord):
            if record.position.topic == "user-settings" and record.key is not None:
                self._frozen.add(record.key)
            return
        fact = item.fact
        if isinstance(fact, SettingsChanged):
            self._absorb_settings(fact)
        elif isinstance(fact, ReferencePriceObserved):
            self._prices.setdefault(item.envelope.fact_id, SeenPrice(fact, record.timestamp_ms))
            while len(self._prices) > PRICES_KEPT:
                self._prices.popitem(last=False)
        elif isinstance(fact, TradeExpired):
            seq, found = self._expired.get(fact.vault, (0, {}))
            if fact.trade_seq > seq:
                found = {}
                self._expired[fact.vault] = (fact.trade_seq, found)
            if fact.trade_seq >= seq:
                found[fact.intent_id] = Expiry(item.envelope.fact_id, fact.context_slot, record.position)

    def _absorb_settings(self, fact: SettingsChanged) -> None:
        known = self._settings.get(fact.vault)
        if known is None or fact.version > known.version:
            self._settings[fact.vault] = fact
            signed = has_owner_signed(fact, self._deployment, verify_ed25519)
            (self._signed.add if signed else self._signed.discard)(fact.vault)
            self._frozen.discard(fact.vault)


async def follow(knowledge: Knowledge, reader: LogReader, writer: LogWriter, caught_up: asyncio.Event) -> None:
    """Read the topics for ever; `caught_up` is set once everything that was there at the start has been folded."""
    ends = await reader.end_offsets()
    for (topic, partition), end in ends.items():
        if topic == "prices" and end > PRICES_KEPT:
            reader.seek(topic, partition, end - PRICES_KEPT)
    inbox = Inbox(reader, writer, "signer")
    while True:
        await knowledge.absorb(await inbox.read())
        if not caught_up.is_set() and await reader.has_reached(ends):
            caught_up.set()
