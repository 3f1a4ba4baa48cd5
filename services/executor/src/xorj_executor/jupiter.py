"""Reads the answers of Jupiter's `/swap/v2/build`: a quote with the swap's instruction, or a typed refusal.

1. Amounts are decimal strings of base units; no number of the answer passes through a float.
2. The mints, the amount in and the swap's only signer are those that were asked for, or the answer is refused.
3. Set-up, clean-up and compute budget instructions are dropped: vault program and planner do their work.
4. Unknown fields are tolerated; sizes are bounded before anything is read.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, Final

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from xorj_core.facts import Quote, TradeRefusedReason
from xorj_core.trade import AMOUNT_MAX, QuoteRefused

VENUE: Final = "jupiter"
BODY_BYTES_MAX: Final = 256 * 1024
ACCOUNTS_MAX: Final = 44
DATA_BYTES_MAX: Final = 1024
POOLS_MAX: Final = 16
TABLES_MAX: Final = 8
TABLE_ADDRESSES_MAX: Final = 256
_AMOUNT = re.compile(r"^(0|[1-9][0-9]{0,19})$")


@dataclass(frozen=True, slots=True)
class RouteWish:
    """What a route is asked for; amounts in base units of `mint_in`."""

    mint_in: bytes
    mint_out: bytes
    amount_in_base_units: int
    slippage_bps: int
    taker: bytes  # the vault's trade authority
    destination: bytes  # its token account for `mint_out`


@dataclass(frozen=True, slots=True)
class Route:
    """A quote and the instruction that carries it out."""

    quote: Quote
    swap: Instruction
    lookup_tables: tuple[tuple[Pubkey, tuple[Pubkey, ...]], ...]


class _Invalid(ValueError):
    """Part of an answer is not what it must be."""


def query_of(wish: RouteWish) -> dict[str, str]:
    """The parameters of the request."""
    return {
        "inputMint": _address(wish.mint_in),
        "outputMint": _address(wish.mint_out),
        "amount": str(wish.amount_in_base_units),
        "taker": _address(wish.taker),
        "destinationTokenAccount": _address(wish.destination),
        "slippageBps": str(wish.slippage_bps),
        "wrapAndUnwrapSol": "false",
        "maxAccounts": str(ACCOUNTS_MAX),
    }


def read_answer(http_status: int, body: bytes, wish: RouteWish) -> Route | QuoteRefused:
    """The route in an answer; QUOTE_UNAVAILABLE where the venue has none, QUOTE_INVALID for what cannot be used."""
    if len(body) > BODY_BYTES_MAX:
        return QuoteRefused(TradeRefusedReason.QUOTE_INVALID, f"{len(body)} bytes, at most {BODY_BYTES_MAX}")
    if http_status != 200:
        return QuoteRefused(TradeRefusedReason.QUOTE_UNAVAILABLE, f"HTTP {http_status} {_error_code(body)}".strip())
    try:
        content = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
        return _route(_mapping(content, "answer"), wish, hashlib.sha256(body).digest())
    except (_Invalid, ValueError, RecursionError) as error:
        return QuoteRefused(TradeRefusedReason.QUOTE_INVALID, str(error)[:300])


def _route(content: Mapping[str, Any], wish: RouteWish, body_sha256: bytes) -> Route:
    asked = (("inputMint", wish.mint_in), ("outputMint", wish.mint_out))
    for name, mint in asked:
        if content.get(name) != _address(mint):
            raise _Invalid(f"{name} is {str(content.get(name))[:64]}, asked for {_address(mint)}")
    amount_in = _amount(content, "inAmount")
    if amount_in != wish.amount_in_base_units:
        raise _Invalid(f"inAmount is {amount_in}, asked for {wish.amount_in_base_units}")
    if content.get("swapMode", "ExactIn") != "ExactIn":
        raise _Invalid("swapMode is not ExactIn")
    if content.get("tipInstruction") is not None or content.get("otherInstructions"):
        raise _Invalid("the route wants instructions beside the swap")
    quote = Quote(
        venue=VENUE,
        amount_in_base_units=amount_in,
        amount_out_base_units=_amount(content, "outAmount"),
        amount_out_threshold_base_units=_amount(content, "otherAmountThreshold"),
        price_impact_bps=_impact_bps(content.get("priceImpactPct", "0")),
        pools=_pools(content),
        body_sha256=body_sha256,
    )
    if not 0 < quote.amount_out_threshold_base_units <= quote.amount_out_base_units:
        raise _Invalid("otherAmountThreshold is not within 1 and outAmount")
    return Route(quote, _swap(content, wish), _lookup_tables(content))


def _swap(content: Mapping[str, Any], wish: RouteWish) -> Instruction:
    raw = _mapping(content.get("swapInstruction"), "swapInstruction")
    accounts = [_meta(item) for item in _list(raw.get("accounts"), "accounts", ACCOUNTS_MAX)]
    taker, destination = Pubkey(wish.taker), Pubkey(wish.destination)
    signers = {meta.pubkey for meta in accounts if meta.is_signer}
    if signers != {taker}:
        raise _Invalid("the swap's signers are not the taker alone")
    if destination not in {meta.pubkey for meta in accounts if meta.is_writable}:
        raise _Invalid("the swap does not write to the destination")
    try:
        data = base64.b64decode(_text(raw.get("data"), "data"), validate=True)
    except binascii.Error as error:
        raise _Invalid("data is not base64") from error
    if not 8 <= len(data) <= DATA_BYTES_MAX:
        raise _Invalid(f"data has {len(data)} bytes")
    return Instruction(_pubkey(raw.get("programId"), "programId"), data, accounts)


def _meta(item: Any) -> AccountMeta:
    raw = _mapping(item, "account")
    signer, writable = raw.get("isSigner"), raw.get("isWritable")
    if not isinstance(signer, bool) or not isinstance(writable, bool):
        raise _Invalid("isSigner and isWritable must be booleans")
    return AccountMeta(_pubkey(raw.get("pubkey"), "pubkey"), is_signer=signer, is_writable=writable)


def _lookup_tables(content: Mapping[str, Any]) -> tuple[tuple[Pubkey, tuple[Pubkey, ...]], ...]:
    raw = content.get("addressesByLookupTableAddress")
    if raw is None:
        return ()
    tables = _mapping(raw, "addressesByLookupTableAddress")
    if len(tables) > TABLES_MAX:
        raise _Invalid(f"{len(tables)} lookup tables")
    return tuple(
        (
            _pubkey(table, "lookup table"),
            tuple(_pubkey(a, "address") for a in _list(addresses, "addresses", TABLE_ADDRESSES_MAX)),
        )
        for table, addresses in sorted(tables.items())
    )


def _pools(content: Mapping[str, Any]) -> tuple[bytes, ...]:
    steps = _list(content.get("routePlan"), "routePlan", POOLS_MAX)
    if not steps:
        raise _Invalid("routePlan is empty")
    infos = [_mapping(_mapping(step, "routePlan step").get("swapInfo"), "swapInfo") for step in steps]
    return tuple(bytes(_pubkey(info.get("ammKey"), "ammKey")) for info in infos)


def _impact_bps(raw: Any) -> int:
    """A ratio as a decimal string, rounded up to whole basis points; a price better than the market's is 0."""
    try:
        ratio = Decimal(raw if isinstance(raw, str) and len(raw) <= 64 else "nan")
    except InvalidOperation as error:
        raise _Invalid("priceImpactPct is not a decimal") from error
    if not ratio.is_finite() or ratio > 1 or ratio < -1000:
        raise _Invalid("priceImpactPct is out of range")
    return max(0, int((ratio * 10_000).to_integral_value(ROUND_CEILING)))


def _amount(content: Mapping[str, Any], name: str) -> int:
    text = content.get(name)
    if not isinstance(text, str) or not _AMOUNT.match(text) or int(text) > AMOUNT_MAX:
        raise _Invalid(f"{name} is not a decimal string of 64 bits")
    return int(text)


def _pubkey(value: Any, name: str) -> Pubkey:
    text = _text(value, name)
    if len(text) > 44:
        raise _Invalid(f"{name} is no address")
    try:
        return Pubkey.from_string(text)
    except ValueError as error:
        raise _Invalid(f"{name} is no address") from error


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _Invalid(f"{name} is not text")
    return value


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _Invalid(f"{name} is not an object")
    return value


def _list(value: Any, name: str, length_max: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > length_max:
        raise _Invalid(f"{name} is not a list of at most {length_max}")
    return value


def _no_constant(name: str) -> Any:
    raise _Invalid(f"{name} is no number")


def _error_code(body: bytes) -> str:
    """The venue's own code, for the detail of a refusal; its prose is not repeated."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    code = content.get("errorCode", content.get("code", "")) if isinstance(content, dict) else ""
    return str(code)[:64]


def _address(key: bytes) -> str:
    return str(Pubkey(key))
