"""The venue refuses in its own words, and misbehaves when told to."""

from typing import Any

import httpx
import pytest
from solders.keypair import Keypair
from xorj_localnet.market.tokens import BONK, JUP, USDC, WSOL

from tests.venue.conftest import VenueWorld

pytestmark = pytest.mark.asyncio(loop_scope="module")
TAKER = str(Keypair().pubkey())
STRANGER = "4G9USgnbg6fDTQ5AUfpCjM89zqbzWj32xfqvsaAu66DM"
GOOD = {"inputMint": USDC.mint, "outputMint": WSOL.mint, "amount": "1000000", "taker": TAKER}


async def ask(world: VenueWorld, **changes: str) -> httpx.Response:
    return await world.venue.get("/swap/v2/build", params={**GOOD, **changes})


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        (
            {"outputMint": STRANGER},
            {"error": f"The token {STRANGER} is not tradable", "errorCode": "TOKEN_NOT_TRADABLE"},
        ),
        ({"maxAccounts": "8"}, {"error": "No routes found", "errorCode": "NO_ROUTES_FOUND"}),
        ({"inputMint": BONK.mint, "amount": "0"}, {"error": "No routes found", "errorCode": "NO_ROUTES_FOUND"}),
        ({"inputMint": BONK.mint, "amount": "1"}, {"error": "No routes found", "errorCode": "NO_ROUTES_FOUND"}),
        ({"dexes": "A", "excludeDexes": "B"}, {"error": "Cannot set dexes and exclude dexes at the same time"}),
        ({"amount": "-1"}, {"error": "Invalid number: amount"}),
        ({"amount": "1e9"}, {"error": "Invalid number: amount"}),
        ({"amount": str(2**64)}, {"error": "Invalid number: amount"}),
        ({"slippageBps": "10001"}, {"error": "Invalid number: slippageBps"}),
        ({"taker": ""}, {"error": "Missing required parameter: taker"}),
        ({"taker": "nobody"}, {"error": "Invalid public key: taker"}),
        ({"outputMint": USDC.mint}, {"error": "inputMint and outputMint are the same"}),
    ],
)
async def test_a_request_that_cannot_be_served_gets_the_venues_own_error(
    world: VenueWorld, changes: dict[str, str], body: dict[str, Any]
) -> None:
    response = await ask(world, **changes)
    assert (response.status_code, response.json()) == (400, body)


async def test_nothing_is_answered_without_the_key(world: VenueWorld) -> None:
    for path in ("/swap/v2/build", "/price/v3", "/tokens/v2/search"):
        response = await world.venue.get(path, headers={"x-api-key": "another"})
        assert response.status_code == 401


async def test_prices_and_tokens_are_those_of_the_market(world: VenueWorld) -> None:
    prices = await world.venue.get("/price/v3", params={"ids": f"{BONK.mint},{STRANGER}"})
    assert set(prices.json()) == {BONK.mint}
    assert '"usdPrice":0.00002241' in prices.text
    tokens = await world.venue.get("/tokens/v2/search", params={"query": f"{BONK.mint},{JUP.mint},{STRANGER}"})
    assert [(token["id"], token["decimals"]) for token in tokens.json()] == [(JUP.mint, 6), (BONK.mint, 5)]
    by_name = await world.venue.get("/tokens/v2/search", params={"query": "wrapped"})
    assert [token["id"] for token in by_name.json()] == [WSOL.mint]
    assert (await world.venue.get("/price/v3")).status_code == 400
    assert (await world.venue.get("/tokens/v2/search")).status_code == 400


async def plan(world: VenueWorld, **fault: Any) -> None:
    response = await world.venue.post("/local/fault", json={"path": "/swap/v2/build", **fault})
    assert response.status_code == 200


async def test_planned_faults_happen_as_often_as_planned(world: VenueWorld) -> None:
    await plan(world, kind="status", status=503, count=2)
    assert [(await ask(world)).status_code for _ in range(3)] == [503, 503, 200]
    await plan(world, kind="garbage", count=1)
    with pytest.raises(ValueError):
        (await ask(world)).json()
    await plan(world, kind="wrong_mint", count=1)
    assert (await ask(world)).json()["outputMint"] not in (USDC.mint, WSOL.mint)
    await plan(world, kind="body", body='{"outAmount": "1"}')
    assert (await ask(world)).json() == {"outAmount": "1"}
    await plan(world, kind=None)
    assert (await ask(world)).json()["outputMint"] == WSOL.mint


async def test_a_fault_that_makes_no_sense_is_refused(world: VenueWorld) -> None:
    for wish in ({}, {"path": "/x", "kind": "flood"}, {"path": "/x", "kind": "slow", "delay_ms": 10**9}):
        assert (await world.venue.post("/local/fault", json=wish)).status_code == 400
