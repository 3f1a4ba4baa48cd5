"""The venue over HTTP: one request per route, bounded in time and size.

A venue that cannot be reached is a refusal like any other (QUOTE_UNAVAILABLE): asking again is harmless.
"""

import asyncio

import httpx
from xorj_core.facts import TradeRefusedReason
from xorj_core.trade import QuoteRefused

from xorj_executor.jupiter import BODY_BYTES_MAX, Route, RouteWish, query_of, read_answer

TIMEOUT_S = 5.0
CONNECTIONS_MAX = 16


class JupiterVenue:
    """`GET /swap/v2/build` of one host, with its API key. Close with `aclose`."""

    def __init__(self, url: str, api_key: str) -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX)
        self._http = httpx.AsyncClient(
            base_url=url, headers={"x-api-key": api_key}, timeout=TIMEOUT_S, limits=limits, follow_redirects=False
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def route(self, wish: RouteWish) -> Route | QuoteRefused:
        """The venue's route for a wish, or why there is none."""
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._http.stream("GET", "/swap/v2/build", params=query_of(wish)) as response,
            ):
                received = bytearray()
                async for chunk in response.aiter_bytes():
                    received += chunk
                    if len(received) > BODY_BYTES_MAX:
                        break
                return read_answer(response.status_code, bytes(received), wish)
        except (httpx.HTTPError, TimeoutError) as error:
            return QuoteRefused(TradeRefusedReason.QUOTE_UNAVAILABLE, type(error).__name__)
