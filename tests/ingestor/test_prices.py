"""Prices are exact, or they are refused alone."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xorj_ingestor.prices import Price, parse_decimals, parse_prices, pico_usd
from xorj_ingestor.strict_json import Malformed

from tests.ingestor.fakes import SOL, USDC


def price_body(text: str, decimals: str = "9") -> bytes:
    return f'{{"{SOL}": {{"usdPrice": {text}, "decimals": {decimals}, "blockId": null, "new": 1.5}}}}'.encode()


@pytest.mark.parametrize(
    ("text", "pico"),
    [
        ("147.48", 147_480_000_000_000),
        ("0.1", 100_000_000_000),
        ("1", 10**12),
        ("0.00002241", 22_410_000),
        ("1.333e-05", 13_330_000),
        ("147.4800000000009", 147_480_000_000_001),
        ("123456.789012345678", 123_456_789_012_345_678),
        ("0.0000000000015", 2),
        ("0.0000000000025", 2),
    ],
)
def test_a_price_is_read_digit_by_digit(text: str, pico: int) -> None:
    assert parse_prices(price_body(text), [SOL]).good == {SOL: Price(pico, 9)}


@pytest.mark.parametrize(
    "text", ["0", "-1", "null", '"1.5"', "true", "[]", "1e-13", "1e300", "9000001", "1e999999999999"]
)
def test_a_price_that_cannot_be_true_is_refused_alone(text: str) -> None:
    two = json.loads(price_body("1", "6"))
    body = price_body(text)[:-1] + b', "' + USDC.encode() + b'": ' + json.dumps(two[SOL]).encode() + b"}"
    prices = parse_prices(body, [SOL, USDC])
    assert prices.good == {USDC: Price(10**12, 6)}
    assert set(prices.refused) == {SOL}


@pytest.mark.parametrize("decimals", ["-1", "19", '"9"', "null", "9.0", "true"])
def test_decimals_that_cannot_be_true_are_refused(decimals: str) -> None:
    assert set(parse_prices(price_body("1", decimals), [SOL]).refused) == {SOL}


def test_only_what_was_asked_for_is_taken() -> None:
    assert parse_prices(price_body("1"), [USDC]).good == {}
    assert parse_decimals(f'[{{"id": "{SOL}", "decimals": 9}}]'.encode(), [USDC]) == {}


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"a": 1', b'{"a": 1, "a": 2}', b"NaN"])
def test_a_body_that_is_no_price_list_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_prices(body, [SOL])


@pytest.mark.parametrize("body", [b"{}", b"[7]", b"x", f'[{{"id": "{SOL}", "decimals": "9"}}]'.encode()])
def test_a_token_list_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_decimals(body, [SOL])


def test_a_mint_listed_with_two_decimals_is_refused() -> None:
    body = json.dumps([{"id": SOL, "decimals": 9}, {"id": SOL, "decimals": 6}]).encode()
    with pytest.raises(Malformed, match="different"):
        parse_decimals(body, [SOL])


@given(st.integers(min_value=1, max_value=9_000_000 * 10**12))
def test_every_whole_pico_usd_survives_the_way_through_json(pico: int) -> None:
    assert pico_usd(Decimal(pico).scaleb(-12), "price") == pico
