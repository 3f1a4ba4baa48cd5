"""The shortest failing sequence that leaving out actions finds: halves first, then smaller and smaller parts."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def shrink(actions: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> list[T]:
    """`actions` must fail. The result fails too, and leaving out any single action of it does not."""
    kept = list(actions)
    size = len(kept)
    while size > 0:
        at = 0
        removed = False
        while at < len(kept):
            shorter = kept[:at] + kept[at + size :]
            if len(shorter) < len(kept) and fails(shorter):
                kept = shorter
                removed = True
            else:
                at += size
        if not (removed and size == 1):
            size = size // 2 if size > 1 else 0
    return kept
