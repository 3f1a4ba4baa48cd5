"""Which trader a vault mirrors: the best-ranked one that its owner's profile and mints allow.

1. A trader is eligible only whole: with the trust the profile asks for, and with every mint of its allocation allowed
   by the owner. A part of somebody's portfolio is nobody's strategy, so no weight is dropped or invented.
2. The choice depends on the set of traders, never on the order in which they are listed.
"""

from collections.abc import Iterable

from xorj_core.bounds import BPS
from xorj_core.facts.strategies import RankedTrader


def choose_trader(
    traders: Iterable[RankedTrader], trust_score_hundredths_min: int, allowed_mints: Iterable[bytes]
) -> RankedTrader | None:
    """The eligible trader with the lowest rank, equal ranks by higher trust and then by wallet; None without one."""
    allowed = frozenset(allowed_mints)
    eligible = [
        trader
        for trader in traders
        if trader.trust_score_hundredths >= trust_score_hundredths_min and _can_be_mirrored(trader, allowed)
    ]
    return min(eligible, key=lambda t: (t.rank, -t.trust_score_hundredths, t.wallet), default=None)


def _can_be_mirrored(trader: RankedTrader, allowed: frozenset[bytes]) -> bool:
    """Whether the allocation is a whole: distinct allowed mints whose positive weights sum to 10000."""
    mints = {target.mint for target in trader.allocation}
    return (
        len(mints) == len(trader.allocation)
        and mints <= allowed
        and all(target.weight_bps > 0 for target in trader.allocation)
        and sum(target.weight_bps for target in trader.allocation) == BPS
    )
