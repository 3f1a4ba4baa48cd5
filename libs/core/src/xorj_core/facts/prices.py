"""Reference prices: topic prices."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class ReferencePriceObserved:
    """A price from a source that is independent of the pools a trade would use."""

    CAUSE: ClassVar[tuple[str, ...]] = ("mint", "source", "observed_at_us")

    mint: bytes  # 32 bytes
    price_pico_usd: int  # 1e-12 USD for one whole token
    decimals: int  # of the mint
    source: str
    source_class: str  # sources of one class count as one
    observed_at_us: int
