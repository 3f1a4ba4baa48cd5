"""The least a trade must bring in, so that neither a bad quote nor a bad pool can take more than the owner's slippage.

1. The minimum is at least the quote bound and at least the reference bound.
2. Both bounds round up: what is refused by one base unit is refused.
3. With no slippage allowed the quote bound is the quote itself.
"""

from xorj_core.money import ceil_div

BPS = 10_000


def quote_bound(quote_out_base_units: int, slippage_bps_max: int) -> int:
    """Least output of a quote after slippage, in base units of the output mint, rounded up."""
    return ceil_div(quote_out_base_units * (BPS - slippage_bps_max), BPS)


def reference_bound(
    amount_in_base_units: int,
    price_in_pico_usd: int,
    decimals_in: int,
    price_out_pico_usd: int,
    decimals_out: int,
    slippage_bps_max: int,
) -> int:
    """Least output at reference prices after slippage, in base units of the output mint, rounded up.

    Raises ValueError where a price is not positive or the slippage is not within 0 to 10000 basis points.
    """
    if price_in_pico_usd <= 0 or price_out_pico_usd <= 0 or not 0 <= slippage_bps_max <= BPS:
        raise ValueError("prices must be positive and slippage within 0 to 10000 basis points")
    numerator = amount_in_base_units * price_in_pico_usd * 10**decimals_out * (BPS - slippage_bps_max)
    return ceil_div(numerator, price_out_pico_usd * 10**decimals_in * BPS)


def minimum_out(quote_bound_base_units: int, reference_bound_base_units: int) -> int:
    """The larger of both bounds."""
    return max(quote_bound_base_units, reference_bound_base_units)
