"""The venue's HTTP interface: `/swap/v2/build`, `/price/v3`, `/tokens/v2/search`, and local paths for tests.

1. Every path needs the API key.
2. Quotes come from the pools' reserves on the chain at processed, prices from the market and never from a pool.
"""

import hmac
import re
from collections.abc import Awaitable, Callable
from typing import cast

import base58
from solders.pubkey import Pubkey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from xorj_solana.cpmm import NoQuote, parse_fee_rate_ppm
from xorj_solana.programs import SPL_TOKEN
from xorj_solana.tokens import parse_token_account

from xorj_localnet.market.chain_access import ChainAccess, ChainRefused
from xorj_localnet.market.exact_json import Json, dumps
from xorj_localnet.market.maker import Market
from xorj_localnet.market.pools import DEPTH_PICO_USD, MarketPool
from xorj_localnet.market.tokens import Token, usd
from xorj_localnet.standin.faults import FaultBoard, FaultKind
from xorj_localnet.venue.build_answer import build_answer
from xorj_localnet.venue.quotes import Quote, Wish, quote
from xorj_localnet.venue.requests import Unfit, no_routes, not_tradable, read_wish

BUILD_PATH, PRICE_PATH, SEARCH_PATH = "/swap/v2/build", "/price/v3", "/tokens/v2/search"
PRICES_MAX, SEARCH_MINTS_MAX, SEARCH_RESULTS_MAX = 50, 100, 20
CREATED_AT = "2024-06-05T08:55:25.527Z"
_MINT = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}")
Handler = Callable[[Request], Awaitable[Response]]


class Venue:
    """Answers for one market over one chain."""

    def __init__(self, api_key: str, market: Market, chain: ChainAccess) -> None:
        self._api_key = api_key
        self._market = market
        self._chain = chain
        self._faults = FaultBoard()

    def app(self) -> Starlette:
        """The HTTP application."""
        return Starlette(
            routes=[
                Route(BUILD_PATH, self._guarded(self._faulty(BUILD_PATH, self._build)), methods=["GET"]),
                Route(PRICE_PATH, self._guarded(self._faulty(PRICE_PATH, self._prices)), methods=["GET"]),
                Route(SEARCH_PATH, self._guarded(self._faulty(SEARCH_PATH, self._search)), methods=["GET"]),
                Route("/local/fault", self._guarded(self._faults.plan_by_request), methods=["POST"]),
                Route("/local/tick", self._guarded(self._move), methods=["POST"]),
            ]
        )

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            given = request.headers.get("x-api-key", "")
            if not hmac.compare_digest(given.encode(), self._api_key.encode()):
                return JSONResponse({"code": 401, "message": "Unauthorized"}, status_code=401)
            return await handler(request)

        return guarded

    def _faulty(self, path: str, handler: Handler) -> Handler:
        async def faulty(request: Request) -> Response:
            instead = await self._faults.interfere(path)
            if isinstance(instead, Response):
                return instead
            request.state.wrong_mint = instead is FaultKind.WRONG_MINT
            return await handler(request)

        return faulty

    async def _build(self, request: Request) -> Response:
        try:
            wish = read_wish(request.query_params)
            if request.state.wrong_mint:
                wish = self._with_another_output(wish)
            given = await self._quote(wish)
            latest = await self._chain.call("getLatestBlockhash", {"commitment": "confirmed"})
        except Unfit as unfit:
            body = {"error": unfit.error, "errorCode": unfit.code} if unfit.code else {"error": unfit.error}
            return JSONResponse(body, status_code=400)
        except ChainRefused as refused:
            return JSONResponse({"error": f"Something unexpected occurred: {refused}"}, status_code=500)
        value = cast("dict[str, Json]", cast("dict[str, Json]", latest)["value"])
        blockhash = base58.b58decode(str(value["blockhash"]))
        return _json(build_answer(given, blockhash, cast("int", value["lastValidBlockHeight"])))

    async def _quote(self, wish: Wish) -> Quote:
        mints = (str(wish.mint_in), str(wish.mint_out))
        for mint in mints:
            if self._market.scenario.token(mint) is None:
                raise not_tradable(mint)
        pool = next((pool for pool in self._market.pools if pool.holds(*mints)), None)
        if pool is None:
            raise no_routes()
        reserves, fee_rate_ppm = await self._reserves(pool)
        try:
            return quote(pool, wish, reserves, fee_rate_ppm)
        except NoQuote:
            raise no_routes() from None

    async def _reserves(self, pool: MarketPool) -> tuple[tuple[int, int], int]:
        low, high, config = await self._chain.account_data([*pool.vaults, pool.pool.amm_config])
        if low is None or high is None or config is None:
            raise no_routes()
        reserves = (
            parse_token_account(low).amount - pool.pool.side_0.owed,
            parse_token_account(high).amount - pool.pool.side_1.owed,
        )
        return reserves, parse_fee_rate_ppm(config)

    def _with_another_output(self, wish: Wish) -> Wish:
        asked = {str(wish.mint_in), str(wish.mint_out)}
        other = next(token.mint for token in self._market.scenario.tokens if token.mint not in asked)
        return Wish(
            wish.mint_in, Pubkey.from_string(other), wish.amount_in, wish.taker, wish.slippage_bps, wish.destination
        )

    async def _prices(self, request: Request) -> Response:
        mints = [mint for mint in request.query_params.get("ids", "").split(",") if mint]
        if not mints or len(mints) > PRICES_MAX:
            return JSONResponse({"error": f"ids: 1 to {PRICES_MAX} mints"}, status_code=400)
        answer: dict[str, Json] = {}
        for mint in mints:
            token = self._market.scenario.token(mint)
            if token is not None:
                answer[mint] = self._price(token)
        if request.state.wrong_mint and answer:
            answer = {mints[0]: answer[next(reversed(answer))]}
        return _json(answer)

    def _price(self, token: Token) -> Json:
        return {
            "createdAt": CREATED_AT,
            "liquidity": usd(2 * DEPTH_PICO_USD * (len(self._market.scenario.tokens) - 1)),
            "usdPrice": usd(self._market.price_pico_usd(token.mint)),
            "blockId": None,
            "decimals": token.decimals,
            "priceChange24h": None,
        }

    async def _search(self, request: Request) -> Response:
        query = request.query_params.get("query", "")
        if not query:
            return JSONResponse({"error": "query is required"}, status_code=400)
        wanted = query.split(",")
        if all(_MINT.fullmatch(part) for part in wanted):
            if len(wanted) > SEARCH_MINTS_MAX:
                return JSONResponse({"error": f"at most {SEARCH_MINTS_MAX} mints"}, status_code=400)
            found = [token for token in self._market.scenario.tokens if token.mint in wanted]
        else:
            word = query.lower()
            matching = [t for t in self._market.scenario.tokens if word in t.symbol.lower() or word in t.name.lower()]
            found = matching[:SEARCH_RESULTS_MAX]
        return _json([self._information(token) for token in found])

    def _information(self, token: Token) -> Json:
        return {
            "id": token.mint,
            "name": token.name,
            "symbol": token.symbol,
            "decimals": token.decimals,
            "tokenProgram": str(SPL_TOKEN),
            "isVerified": True,
            "tags": ["verified"],
            "usdPrice": usd(self._market.price_pico_usd(token.mint)),
        }

    async def _move(self, request: Request) -> Response:
        """Handles `POST /local/tick`: `{"tick": n}` moves prices and pools to that tick."""
        try:
            await self._market.move_to(max(0, int((await request.json())["tick"])))
        except (ValueError, KeyError, TypeError, ChainRefused) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({"tick": self._market.tick})


def _json(value: Json) -> Response:
    return Response(dumps(value), media_type="application/json")
