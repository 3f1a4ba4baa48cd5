"""The engine's HTTP interface: `GET /internal/ranked-traders`, and two local paths to change what it says.

1. Every path needs the bearer token.
2. The ranking is what the scenario, or the last `POST /local/ranking`, said; nothing else changes it.
"""

import hmac
import time
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from xorj_localnet.market.exact_json import Json, dumps, loads
from xorj_localnet.market.scenario import Trader
from xorj_localnet.standin.faults import FaultBoard

RANKING_PATH = "/internal/ranked-traders"
Handler = Callable[[Request], Awaitable[Response]]


class Engine:
    """Holds the ranking that is served."""

    def __init__(self, token: str, traders: Sequence[Trader]) -> None:
        self._token = token
        self._data: list[Json] = [ranking_entry(rank, trader) for rank, trader in enumerate(traders, start=1)]
        self._published_at_s = int(time.time())
        self._faults = FaultBoard()

    def app(self) -> Starlette:
        """The HTTP application."""
        return Starlette(
            routes=[
                Route(RANKING_PATH, self._guarded(self._ranking), methods=["GET"]),
                Route("/local/ranking", self._guarded(self._replace), methods=["POST"]),
                Route("/local/fault", self._guarded(self._faults.plan_by_request), methods=["POST"]),
            ]
        )

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
                return JSONResponse({"status": "error", "error": "unauthorized"}, status_code=401)
            return await handler(request)

        return guarded

    async def _ranking(self, request: Request) -> Response:
        instead = await self._faults.interfere(RANKING_PATH)
        if isinstance(instead, Response):
            return instead
        body: Json = {
            "status": "success",
            "data": self._data,
            "meta": {"count": len(self._data), "published_at": self._published_at_s},
        }
        return Response(dumps(body), media_type="application/json")

    async def _replace(self, request: Request) -> Response:
        """Takes `{"data": [...]}` as it is served, unchecked: tests publish wrong rankings with it, too."""
        try:
            wish = loads(await request.body())
        except ValueError as error:
            return JSONResponse({"status": "error", "error": str(error)}, status_code=400)
        data = wish.get("data") if isinstance(wish, dict) else None
        if not isinstance(data, list):
            return JSONResponse({"status": "error", "error": "data must be a list"}, status_code=400)
        self._data, self._published_at_s = data, int(time.time())
        return JSONResponse({"status": "success", "count": len(data)})


def ranking_entry(rank: int, trader: Trader) -> Json:
    """One element of the answer's `data`."""
    metrics: dict[str, Json] = dict(trader.metrics)
    entry: dict[str, Json] = {
        "rank": rank,
        "wallet_address": trader.wallet,
        "trust_score": Decimal(trader.trust_score_hundredths).scaleb(-2),
        "performance_breakdown": {},
        "metrics": metrics,
    }
    if trader.allocation:
        entry["allocation"] = [{"mint": mint, "weight_bps": bps} for mint, bps in trader.allocation.items()]
    return entry
