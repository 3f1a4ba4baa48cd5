"""Reads what `/swap/v2/build` is asked for; a refusal has the venue's own words and codes."""

from collections.abc import Mapping

from solders.pubkey import Pubkey

from xorj_localnet.market.prices import BPS
from xorj_localnet.venue.quotes import Wish

SLIPPAGE_BPS_DEFAULT = 50
MAX_ACCOUNTS_DEFAULT = 64
ROUTE_ACCOUNTS = 14
"""Accounts that a swap through one pool needs, its program among them."""
U64_MAX = 2**64 - 1


class Unfit(Exception):
    """The request gets a 400 with this text, and a code where the venue has one."""

    def __init__(self, error: str, code: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.code = code


def no_routes() -> Unfit:
    """Nothing connects the two mints for this amount."""
    return Unfit("No routes found", "NO_ROUTES_FOUND")


def not_tradable(mint: str) -> Unfit:
    """The venue does not know the mint."""
    return Unfit(f"The token {mint} is not tradable", "TOKEN_NOT_TRADABLE")


def read_wish(query: Mapping[str, str]) -> Wish:
    """The wish in the query's parameters. Raises Unfit."""
    if query.get("dexes") and query.get("excludeDexes"):
        raise Unfit("Cannot set dexes and exclude dexes at the same time")
    if query.get("swapMode", "ExactIn") != "ExactIn":
        raise Unfit("Only ExactIn is supported")
    mint_in, mint_out = _key(query, "inputMint"), _key(query, "outputMint")
    if mint_in == mint_out:
        raise Unfit("inputMint and outputMint are the same")
    if _number(query, "maxAccounts", MAX_ACCOUNTS_DEFAULT, MAX_ACCOUNTS_DEFAULT) < ROUTE_ACCOUNTS:
        raise no_routes()
    destination = _key(query, "destinationTokenAccount") if query.get("destinationTokenAccount") else None
    return Wish(
        mint_in=mint_in,
        mint_out=mint_out,
        amount_in=_number(query, "amount", None, U64_MAX),
        taker=_key(query, "taker"),
        slippage_bps=_number(query, "slippageBps", SLIPPAGE_BPS_DEFAULT, BPS),
        destination=destination,
    )


def _key(query: Mapping[str, str], name: str) -> Pubkey:
    text = query.get(name, "")
    if not text:
        raise Unfit(f"Missing required parameter: {name}")
    try:
        return Pubkey.from_string(text)
    except ValueError:
        raise Unfit(f"Invalid public key: {name}") from None


def _number(query: Mapping[str, str], name: str, default: int | None, largest: int) -> int:
    text = query.get(name, "")
    if not text and default is not None:
        return default
    if not text:
        raise Unfit(f"Missing required parameter: {name}")
    if not text.isascii() or not text.isdigit() or int(text) > largest:
        raise Unfit(f"Invalid number: {name}")
    return int(text)
