"""Answers of the venue: what can be used becomes a route, everything else a typed refusal."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey
from xorj_core.facts import TradeRefusedReason
from xorj_core.trade import QuoteRefused
from xorj_executor.jupiter import ACCOUNTS_MAX, BODY_BYTES_MAX, Route, RouteWish, query_of, read_answer

USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
JUP = "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN"
TAKER, DESTINATION, PROGRAM, POOL = (str(Pubkey(bytes([n]) * 32)) for n in (1, 2, 3, 4))


def key(address: str) -> bytes:
    return bytes(Pubkey.from_string(address))


WISH = RouteWish(key(USDC), key(JUP), 1_000_000, 100, key(TAKER), key(DESTINATION))


def body() -> dict[str, Any]:
    """A good answer."""
    accounts = [
        {"pubkey": TAKER, "isSigner": True, "isWritable": False},
        {"pubkey": DESTINATION, "isSigner": False, "isWritable": True},
        {"pubkey": POOL, "isSigner": False, "isWritable": True},
    ]
    swap = {"programId": PROGRAM, "accounts": accounts, "data": base64.b64encode(bytes(24)).decode()}
    return {
        "inputMint": USDC,
        "outputMint": JUP,
        "inAmount": "1000000",
        "outAmount": "2000000",
        "otherAmountThreshold": "1980000",
        "swapMode": "ExactIn",
        "slippageBps": 100,
        "priceImpactPct": "0.00011",
        "routePlan": [{"swapInfo": {"ammKey": POOL, "label": "x"}, "percent": None, "bps": None}],
        "computeBudgetInstructions": [],
        "setupInstructions": [{"whatever": 1}],
        "swapInstruction": swap,
        "cleanupInstruction": None,
        "otherInstructions": [],
        "tipInstruction": None,
        "addressesByLookupTableAddress": {PROGRAM: [POOL, TAKER]},
        "anUnknownField": 1.5,
    }


def read(content: Any, status: int = 200) -> Route | QuoteRefused:
    return read_answer(status, json.dumps(content).encode(), WISH)


def test_a_good_answer_is_a_route() -> None:
    route = read(body())
    assert isinstance(route, Route)
    quote = route.quote
    assert (quote.amount_in_base_units, quote.amount_out_base_units) == (1_000_000, 2_000_000)
    assert quote.amount_out_threshold_base_units == 1_980_000
    assert quote.price_impact_bps == 2, "1.1 basis points round up"
    assert quote.pools == (key(POOL),)
    assert len(quote.body_sha256) == 32
    assert route.swap.program_id == Pubkey.from_string(PROGRAM)
    assert [len(addresses) for _, addresses in route.lookup_tables] == [2]


def change(**changed: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda good: {**good, **changed}


def swap(**changed: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda good: {**good, "swapInstruction": {**good["swapInstruction"], **changed}}


BAD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "wrong mint in": change(inputMint=JUP),
    "wrong mint out": change(outputMint=USDC),
    "another amount in": change(inAmount="999999"),
    "amount as a number": change(outAmount=2_000_000),
    "amount with a sign": change(outAmount="-5"),
    "amount with a fraction": change(outAmount="1.5"),
    "amount over 64 bits": change(outAmount=str(2**64)),
    "nothing out": change(outAmount="0", otherAmountThreshold="0"),
    "threshold above the quote": change(otherAmountThreshold="2000001"),
    "exact out": change(swapMode="ExactOut"),
    "a tip": change(tipInstruction={"programId": PROGRAM}),
    "other instructions": change(otherInstructions=[{}]),
    "impact that is no number": change(priceImpactPct="much"),
    "impact that is not finite": change(priceImpactPct="Infinity"),
    "no pools": change(routePlan=[]),
    "too many pools": change(routePlan=[{"swapInfo": {"ammKey": POOL}}] * 17),
    "no swap": change(swapInstruction=None),
    "swap of another signer": swap(accounts=[{"pubkey": POOL, "isSigner": True, "isWritable": True}]),
    "swap without signer": swap(accounts=[{"pubkey": DESTINATION, "isSigner": False, "isWritable": True}]),
    "swap that misses the destination": swap(accounts=[{"pubkey": TAKER, "isSigner": True, "isWritable": False}]),
    "flags that are not booleans": swap(accounts=[{"pubkey": TAKER, "isSigner": 1, "isWritable": 0}]),
    "data that is not base64": swap(data="%%%"),
    "too much data": swap(data=base64.b64encode(bytes(2000)).decode()),
    "program that is no address": swap(programId="0OIl"),
    "too many accounts": swap(accounts=[{"pubkey": TAKER, "isSigner": True, "isWritable": True}] * 45),
    "tables that are a list": change(addressesByLookupTableAddress=[]),
    "a list": lambda _: [],
    "a string": lambda _: "x",
    "null": lambda _: None,
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_answer_is_refused(name: str) -> None:
    refused = read(BAD[name](body()))
    assert isinstance(refused, QuoteRefused)
    assert refused.reason is TradeRefusedReason.QUOTE_INVALID


@given(st.binary(max_size=200))
def test_rubbish_is_refused(rubbish: bytes) -> None:
    refused = read_answer(200, rubbish, WISH)
    assert isinstance(refused, QuoteRefused)
    assert refused.reason is TradeRefusedReason.QUOTE_INVALID


def test_an_oversize_answer_is_refused_unread() -> None:
    assert isinstance(read_answer(200, b" " * (BODY_BYTES_MAX + 1), WISH), QuoteRefused)


def test_nesting_too_deep_is_refused() -> None:
    assert isinstance(read_answer(200, b"[" * 100_000, WISH), QuoteRefused)


def test_the_query_asks_for_the_trade_authority_and_its_account() -> None:
    query = query_of(WISH)
    assert (query["taker"], query["destinationTokenAccount"]) == (TAKER, DESTINATION)
    assert (query["amount"], query["slippageBps"]) == ("1000000", "100")


def recorded() -> Path:
    directory = os.environ.get("XORJ_RECORDED_DATA")
    if not directory:
        pytest.skip("XORJ_RECORDED_DATA is not set")
    return Path(directory) / "jupiter"


def test_recorded_errors_are_refusals_with_the_venues_code() -> None:
    files = sorted((recorded() / "quotes" / "errors").glob("*.json"))
    assert files
    for file in files:
        content = json.loads(file.read_text())
        refused = read(content.get("body", content), content["_http_status"])
        assert isinstance(refused, QuoteRefused), file.name
        assert refused.reason is TradeRefusedReason.QUOTE_UNAVAILABLE
        assert str(content.get("body", {}).get("errorCode", "")) in refused.detail


def test_a_recorded_route_is_taken_where_it_fits_and_refused_where_it_does_not() -> None:
    """The recorded route names more accounts than a vault's trade can hold; its first ones alone would fit."""
    directory = recorded() / "recorded"
    quote = json.loads((directory / "get_quote_base.json").read_text())
    swap_instruction = json.loads((directory / "post_swap_instructions.json").read_text())["swapInstruction"]
    accounts = swap_instruction["accounts"]
    taker = next(a["pubkey"] for a in accounts if a["isSigner"])
    destination = next(a["pubkey"] for a in accounts if a["isWritable"])
    mints = (key(quote["inputMint"]), key(quote["outputMint"]))
    wish = RouteWish(*mints, int(quote["inAmount"]), 50, key(taker), key(destination))
    for kept in (len(accounts), ACCOUNTS_MAX):
        content = {**quote, "swapInstruction": {**swap_instruction, "accounts": accounts[:kept]}}
        route = read_answer(200, json.dumps(content).encode(), wish)
        assert isinstance(route, Route) is (kept <= ACCOUNTS_MAX)
        if isinstance(route, Route):
            assert route.quote.amount_out_base_units == int(quote["outAmount"])
            assert [str(m.pubkey) for m in route.swap.accounts] == [a["pubkey"] for a in accounts[:kept]]
