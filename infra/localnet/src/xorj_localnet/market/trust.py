"""How the local engine turns a wallet's recorded metrics into a trust score: whole numbers, no faith in wonders.

1. A wallet whose record is too short or too good to be true gets no score at all.
2. A score starts at 100.00 and loses: up to 10 points for the share of tokens that lost money, up to 20 for the share
   that lost more than half, up to 10 for the share of trades that the recording marks as fast, and 0.02 for each token
   that its record lacks to 200.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

FULL_SCORE_HUNDREDTHS = 10_000
TRADES_MIN = 100
TOKENS_MIN = 10
WIN_RATE_MAX = Decimal("0.9")
PROFIT_RATIO_MAX = Decimal(3)
FAST_RATIO_MAX = Decimal("0.3")
TRAP_RATIO_MAX = Decimal("0.05")
TOKENS_ENOUGH = 200


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a wallet. Ratios are 1 for all; `profit_ratio` is profit by cost over seven days."""

    trades: int
    tokens: int
    tokens_lost_over_half: int
    win_rate: Decimal
    profit_ratio: Decimal
    fast_ratio: Decimal
    trap_ratio: Decimal


def distrust(record: Record) -> str | None:
    """Why the wallet gets no score, or None."""
    if record.trades < TRADES_MIN or record.tokens < TOKENS_MIN:
        return "the record is too short"
    if record.win_rate > WIN_RATE_MAX or record.profit_ratio > PROFIT_RATIO_MAX:
        return "too good to be true"
    if record.fast_ratio > FAST_RATIO_MAX or record.trap_ratio > TRAP_RATIO_MAX:
        return "trades like an insider"
    return None


def trust_score_hundredths(record: Record) -> int:
    """Hundredths of a point, 0 to 10000, for a record that `distrust` passes."""
    deep_share = Decimal(record.tokens_lost_over_half) / Decimal(record.tokens)
    lost = (
        _points(1 - record.win_rate, 1_000)
        + _points(deep_share, 2_000)
        + _points(record.fast_ratio, 1_000)
        + 2 * max(0, TOKENS_ENOUGH - record.tokens)
    )
    return max(0, FULL_SCORE_HUNDREDTHS - lost)


def _points(share: Decimal, hundredths: int) -> int:
    return int((share * hundredths).to_integral_value(ROUND_CEILING))
