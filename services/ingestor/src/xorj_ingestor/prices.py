"""Reads the venue's prices and token list. Pure.

`/price/v3`: `{mint: {usdPrice, decimals, …}}`, mints without a reliable price left out; `/tokens/v2/search`: `[{id,
decimals, …}]`.

1. A price is read as Decimal and becomes pico-USD, rounded half to even; a price that would become 0 is refused.
2. One mint's unusable price is refused alone: the others are good.
3. Only mints that were asked for are taken.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from xorj_ingestor.strict_json import Json, Malformed, as_list, as_object, as_whole, read

PICO_PLACES = 12
PRICE_USD_MIN = Decimal("1e-12")
PRICE_USD_MAX = Decimal("9e6")
DECIMALS_MAX = 18
TOKENS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Price:
    """Pico-USD for one whole token of a mint with so many decimals."""

    price_pico_usd: int
    decimals: int


@dataclass(frozen=True, slots=True)
class Prices:
    """What one body says of the mints asked for; `refused` gives the reason per mint."""

    good: dict[str, Price]
    refused: dict[str, str]


def parse_prices(body: bytes, asked: Collection[str]) -> Prices:
    """The prices in a body. Raises Malformed when the body as a whole is unusable."""
    document = as_object(read(body), "the body")
    good: dict[str, Price] = {}
    refused: dict[str, str] = {}
    for mint in asked:
        value = document.get(mint)
        if value is None:
            continue
        try:
            good[mint] = _read_price(as_object(value, mint))
        except Malformed as error:
            refused[mint] = str(error)
    return Prices(good, refused)


def parse_decimals(body: bytes, asked: Collection[str]) -> dict[str, int]:
    """Decimals by mint, for those asked for that the token list has. Raises Malformed."""
    found: dict[str, int] = {}
    for place, value in enumerate(as_list(read(body), "the body", TOKENS_MAX)):
        entry = as_object(value, f"[{place}]")
        mint = entry.get("id")
        if isinstance(mint, str) and mint in asked:
            decimals = as_whole(entry.get("decimals"), f"[{place}].decimals", 0, DECIMALS_MAX)
            if found.setdefault(mint, decimals) != decimals:
                raise Malformed(f"{mint} is listed with different decimals")
    return found


def pico_usd(value: Json, where: str) -> int:
    """A JSON number of USD as pico-USD. Raises Malformed."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Malformed(f"{where} is not a number")
    price = Decimal(value)
    if not PRICE_USD_MIN <= price <= PRICE_USD_MAX:
        raise Malformed(f"{where} is not from {PRICE_USD_MIN} to {PRICE_USD_MAX} USD")
    return int(price.scaleb(PICO_PLACES).to_integral_value(ROUND_HALF_EVEN))


def _read_price(entry: dict[str, Json]) -> Price:
    return Price(
        price_pico_usd=pico_usd(entry.get("usdPrice"), "usdPrice"),
        decimals=as_whole(entry.get("decimals"), "decimals", 0, DECIMALS_MAX),
    )
