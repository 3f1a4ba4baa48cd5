"""Slots, block heights and the window of usable blockhashes. Pure: the caller decides when a slot passes.

1. One block per slot: ``height = slot - HEIGHT_GAP``, so that a slot is never mistaken for a height unnoticed.
2. A blockhash of height h is usable while the executing height is at most ``h + 150``.
3. processed >= confirmed >= finalized, at fixed depths below the slot in progress.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

HEIGHT_GAP = 21_000_000
BLOCKHASH_WINDOW_BLOCKS = 150
_KEPT_BLOCKHASHES = 2 * BLOCKHASH_WINDOW_BLOCKS + 512


class Commitment(Enum):
    """How settled a slot has to be."""

    PROCESSED = "processed"
    CONFIRMED = "confirmed"
    FINALIZED = "finalized"


@dataclass(frozen=True, slots=True)
class Depths:
    """How many slots behind the one in progress each commitment lies."""

    confirmed_slots: int
    finalized_slots: int

    def __post_init__(self) -> None:
        if not 0 <= self.confirmed_slots <= self.finalized_slots <= 512:
            raise ValueError("depths must satisfy 0 <= confirmed <= finalized <= 512 slots")


def height_of(slot: int) -> int:
    """Block height of ``slot``."""
    return slot - HEIGHT_GAP


class SlotClock:
    """The slot in progress and the blockhashes of the slots before it."""

    __slots__ = ("_depths", "_hash_of_slot", "_slot_of_hash", "slot")

    def __init__(self, first_slot: int, seed: bytes, depths: Depths) -> None:
        self.slot = first_slot - depths.finalized_slots
        self._depths = depths
        self._hash_of_slot: OrderedDict[int, bytes] = OrderedDict()
        self._slot_of_hash: dict[bytes, int] = {}
        self._remember(hashlib.sha256(b"first block" + seed).digest())
        while self.slot < first_slot:
            self.advance()

    def advance(self) -> None:
        """Begin the next slot; its blockhash is chained to the one before."""
        previous = self._hash_of_slot[self.slot]
        self.slot += 1
        self._remember(hashlib.sha256(previous + self.slot.to_bytes(8, "little")).digest())

    def _remember(self, blockhash: bytes) -> None:
        self._hash_of_slot[self.slot] = blockhash
        self._slot_of_hash[blockhash] = self.slot
        while len(self._hash_of_slot) > _KEPT_BLOCKHASHES:
            _, old = self._hash_of_slot.popitem(last=False)
            del self._slot_of_hash[old]

    def at(self, commitment: Commitment) -> int:
        """The newest slot that has reached ``commitment``."""
        match commitment:
            case Commitment.PROCESSED:
                return self.slot
            case Commitment.CONFIRMED:
                return self.slot - self._depths.confirmed_slots
            case Commitment.FINALIZED:
                return self.slot - self._depths.finalized_slots
            case _:
                assert_never(commitment)

    def reached(self, slot: int) -> Commitment:
        """The strongest commitment that ``slot`` has reached."""
        if slot <= self.at(Commitment.FINALIZED):
            return Commitment.FINALIZED
        if slot <= self.at(Commitment.CONFIRMED):
            return Commitment.CONFIRMED
        return Commitment.PROCESSED

    def blockhash_of(self, slot: int) -> bytes:
        """Blockhash of a slot inside the kept window."""
        return self._hash_of_slot[slot]

    def blockhash_usable(self, blockhash: bytes, at_slot: int) -> bool:
        """Whether a transaction naming ``blockhash`` may execute in the bank of ``at_slot``."""
        slot = self._slot_of_hash.get(blockhash)
        return slot is not None and slot <= at_slot <= slot + BLOCKHASH_WINDOW_BLOCKS

    def recent_blockhashes(self, count: int) -> list[tuple[int, bytes]]:
        """The newest ``count`` finished slots with their hashes, newest first."""
        newest_first = [(s, h) for s, h in reversed(self._hash_of_slot.items()) if s < self.slot]
        return newest_first[:count]
