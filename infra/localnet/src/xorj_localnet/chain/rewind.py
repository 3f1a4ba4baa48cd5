"""What values were at an earlier slot, kept as an undo log of the slots that are not yet final. Pure.

1. ``at(key, slot, now)`` is the value at the end of ``slot``: the oldest pre-image written after it, else ``now``.
2. Only the first write of a key in a slot is kept; slots at or below the pruned one are gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class UndoLog(Generic[K, V]):
    """Pre-images by key and the keys written by slot."""

    __slots__ = ("_before", "_written")

    def __init__(self) -> None:
        self._before: dict[K, deque[tuple[int, V]]] = {}
        self._written: dict[int, set[K]] = {}

    def note(self, key: K, slot: int, before: V) -> None:
        """Remember that ``key`` had ``before`` when ``slot`` began to change it."""
        keys = self._written.setdefault(slot, set())
        if key not in keys:
            keys.add(key)
            self._before.setdefault(key, deque()).append((slot, before))

    def at(self, key: K, slot: int, now: V) -> V:
        """Value of ``key`` at the end of ``slot``, given its value ``now``."""
        for written_slot, before in self._before.get(key, ()):
            if written_slot > slot:
                return before
        return now

    def written_in(self, slot: int) -> frozenset[K]:
        """Keys written in ``slot``."""
        return frozenset(self._written.get(slot, ()))

    def keys_written_after(self, slot: int) -> set[K]:
        """Keys whose value now may differ from the one at ``slot``."""
        return {key for written_slot, keys in self._written.items() if written_slot > slot for key in keys}

    def prune(self, slot: int) -> None:
        """Forget what is needed only to answer for slots before ``slot``."""
        for old in [s for s in self._written if s <= slot]:
            for key in self._written.pop(old):
                entries = self._before[key]
                while entries and entries[0][0] <= slot:
                    entries.popleft()
                if not entries:
                    del self._before[key]
