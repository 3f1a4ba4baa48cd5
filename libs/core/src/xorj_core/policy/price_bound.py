"""The least that a trade must bring by reference prices, in integers.

1. Rounded up: a trade never brings less than the exact bound.
2. No quote, pool or statement of the executor enters.
"""

BPS = 10_000


def reference_amount_out_min(
    *,
    amount_in_base_units: int,
    price_in_pico_usd: int,
    price_out_pico_usd: int,
    decimals_in: int,
    decimals_out: int,
    slippage_bps: int,
) -> int:
    """ceil(amount in x price in / price out x (1 - slippage)) in base units of the mint out.

    Raises ValueError for a price that is not positive or a slippage outside 0..10,000.
    """
    if price_in_pico_usd <= 0 or price_out_pico_usd <= 0 or not 0 <= slippage_bps <= BPS:
        raise ValueError("prices must be positive and slippage between 0 and 10,000 bps")
    numerator = amount_in_base_units * price_in_pico_usd * 10**decimals_out * (BPS - slippage_bps)
    return -(-numerator // (price_out_pico_usd * 10**decimals_in * BPS))


def value_micro_usd(amount_base_units: int, decimals: int, price_pico_usd: int) -> int:
    """The value of an amount, rounded up, so that a cap is never passed by rounding."""
    return -(-amount_base_units * price_pico_usd // (10**decimals * 10**6))
