"""Values of token amounts in integer units: base units of a mint, pico-USD prices, micro-USD values.

1. No float and no rounding upwards: a value is never overstated.
2. Every product is formed whole and divided once.
"""

PICO_PER_MICRO = 10**6


def value_micro_usd(amount_base_units: int, decimals: int, price_pico_usd: int) -> int:
    """Value of an amount in micro-USD, rounded down; the price is 1e-12 USD for one whole token.

    Raises ValueError for negative arguments.
    """
    if amount_base_units < 0 or decimals < 0 or price_pico_usd < 0:
        raise ValueError("amounts, decimals and prices are never negative")
    base_units_per_token: int = 10**decimals
    return amount_base_units * price_pico_usd // (base_units_per_token * PICO_PER_MICRO)


def ceil_div(numerator: int, denominator: int) -> int:
    """Quotient rounded towards plus infinity; the denominator is positive."""
    return -(-numerator // denominator)
