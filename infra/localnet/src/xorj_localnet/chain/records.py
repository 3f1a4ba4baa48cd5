"""What became of each transaction: statuses, details and the index by address. Bounded; pure.

1. A status is kept for the newest ``STATUSES_KEPT`` transactions, details for the newest ``DETAILS_KEPT``.
2. A transaction that never landed (nobody paid its fee) leaves no trace.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import TransactionMetadata

from xorj_localnet.chain.faults import Json

STATUSES_KEPT = 500_000
DETAILS_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Status:
    """The slot a transaction landed in and its error as a JSON value (``None`` for success)."""

    slot: int
    err: Json


@dataclass(frozen=True, slots=True)
class TokenBalance:
    """Raw amount of a token account, in base units, with its mint's decimals."""

    account_index: int
    mint: Pubkey
    owner: Pubkey
    program_id: Pubkey
    amount_base_units: int
    decimals: int


@dataclass(frozen=True, slots=True)
class Landed:
    """One landed transaction with everything ``getTransaction`` shows. Balances in lamports, in key order."""

    signature: Signature
    status: Status
    unix_time_s: int
    transaction: VersionedTransaction
    loaded_writable: tuple[Pubkey, ...]
    loaded_readonly: tuple[Pubkey, ...]
    meta: TransactionMetadata
    pre_balances: tuple[int, ...]
    post_balances: tuple[int, ...]
    pre_tokens: tuple[TokenBalance, ...]
    post_tokens: tuple[TokenBalance, ...]

    @property
    def keys(self) -> tuple[Pubkey, ...]:
        """All account keys in the order instructions index them."""
        return (*self.transaction.message.account_keys, *self.loaded_writable, *self.loaded_readonly)


class Records:
    """Landed transactions, newest last."""

    __slots__ = ("_by_address", "_by_slot", "_details", "_statuses", "transaction_count")

    def __init__(self) -> None:
        self._statuses: OrderedDict[Signature, Status] = OrderedDict()
        self._details: OrderedDict[Signature, Landed] = OrderedDict()
        self._by_address: dict[Pubkey, deque[Landed]] = {}
        self._by_slot: dict[int, list[Landed]] = {}
        self.transaction_count = 0

    def add(self, landed: Landed) -> None:
        """Record a transaction that landed."""
        self.transaction_count += 1
        self._statuses[landed.signature] = landed.status
        self._details[landed.signature] = landed
        self._by_slot.setdefault(landed.status.slot, []).append(landed)
        for key in dict.fromkeys(landed.keys):
            self._by_address.setdefault(key, deque()).append(landed)
        while len(self._statuses) > STATUSES_KEPT:
            self._statuses.popitem(last=False)
        while len(self._details) > DETAILS_KEPT:
            self._forget(self._details.popitem(last=False)[1])

    def _forget(self, old: Landed) -> None:
        for key in dict.fromkeys(old.keys):
            entries = self._by_address[key]
            entries.popleft()
            if not entries:
                del self._by_address[key]

    def status(self, signature: Signature) -> Status | None:
        """Status by signature, if it landed and is still kept."""
        return self._statuses.get(signature)

    def detail(self, signature: Signature) -> Landed | None:
        """Everything known of a transaction, if still kept."""
        return self._details.get(signature)

    def of_address(self, address: Pubkey) -> list[Landed]:
        """Transactions naming ``address``, newest first."""
        return list(reversed(self._by_address.get(address, ())))

    def in_slot(self, slot: int) -> list[Landed]:
        """Transactions of a slot that is not yet pruned, in order of execution."""
        return self._by_slot.get(slot, [])

    def prune_slots(self, slot: int) -> None:
        """Forget the order of execution of ``slot`` and earlier ones."""
        for old in [s for s in self._by_slot if s <= slot]:
            del self._by_slot[old]
