"""Where random choices come from: a seeded generator for long runs, Hypothesis for short ones that shrink."""

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Chooser(Protocol):
    """Draws numbers; everything that a sequence does follows from them."""

    def below(self, limit: int) -> int:
        """From 0 to `limit` - 1."""
        ...


class Seeded:
    """Draws from a generator of this seed."""

    def __init__(self, seed: int) -> None:
        self._numbers = random.Random(seed)

    def below(self, limit: int) -> int:
        return int(self._numbers.random() * limit) if limit < 1 << 40 else self._numbers.randrange(limit)


class Drawn:
    """Draws from Hypothesis, which then shrinks towards 0."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def below(self, limit: int) -> int:
        return self._data.draw(st.integers(0, limit - 1))


def pick(chooser: Chooser, items: Sequence[T]) -> T:
    return items[chooser.below(len(items))]


def chance(chooser: Chooser, percent: int) -> bool:
    """True in `percent` of 100 draws; the first choice, to which Hypothesis shrinks, is False."""
    return chooser.below(100) >= 100 - percent
