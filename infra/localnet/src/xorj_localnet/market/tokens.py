"""Tokens of the local world. Mint addresses and decimals are those of mainnet, so that recorded data fits.

1. A price is a whole number of pico-USD (1e-12 USD) for one whole token; an amount is a whole number of base units.
"""

from dataclasses import dataclass
from decimal import Decimal

PICO = 12
"""Decimal places of a price."""


@dataclass(frozen=True, slots=True)
class Token:
    """One mint."""

    mint: str
    symbol: str
    name: str
    decimals: int


WSOL = Token("So11111111111111111111111111111111111111112", "SOL", "Wrapped SOL", 9)
USDC = Token("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "USDC", "USD Coin", 6)
JUP = Token("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN", "JUP", "Jupiter", 6)
BONK = Token("DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263", "BONK", "Bonk", 5)
JTO = Token("jtojtomepa8beP8AuQc6eXt5FriJwfFMwQx2v2f9mCL", "JTO", "JITO", 9)


def pico_usd(price_usd: Decimal) -> int:
    """A price in USD as pico-USD. Raises ValueError unless it is positive and exact in pico-USD."""
    if not price_usd.is_finite() or price_usd <= 0:
        raise ValueError(f"not a price: {price_usd}")
    pico = price_usd.scaleb(PICO)
    if pico != pico.to_integral_value():
        raise ValueError(f"finer than a pico-USD: {price_usd}")
    return int(pico)


def usd(price_pico_usd: int) -> Decimal:
    """A price in pico-USD as USD, exactly."""
    return Decimal(price_pico_usd).scaleb(-PICO)


def value_in_base_units(value_pico_usd: int, price_pico_usd: int, decimals: int) -> int:
    """How many base units of a token are worth `value_pico_usd`, rounded down."""
    return value_pico_usd * int(10**decimals) // price_pico_usd
