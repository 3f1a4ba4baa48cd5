"""An RPC endpoint between a service and the local chain that can hold back one method's calls, for ever."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from xorj_localnet.standin.serve import listen


class RpcProxy:
    """Forwards JSON-RPC calls to the address that `target` returns; what is held never reaches it."""

    def __init__(self, target: Callable[[], str]) -> None:
        self._target = target
        self._holding: str | None = None
        self._client = httpx.AsyncClient(timeout=30)
        self.held = asyncio.Event()
        self.failures_left = 0
        self.url = ""

    def hold(self, method: str) -> None:
        """Swallow every call of `method` from now on; `held` is set by the first."""
        self._holding = method
        self.held.clear()

    def let_through(self) -> None:
        """Forward everything from now on. What was held stays unforwarded."""
        self._holding = None

    def fail_next(self, calls: int) -> None:
        """Answer the next calls with 500 and with rubbish by turns."""
        self.failures_left = calls

    async def answer(self, request: Request) -> Response:
        """Forward one call, or hold it until its caller gives up."""
        body = await request.body()
        if self._holding is not None and json.loads(body).get("method") == self._holding:
            self.held.set()
            while not await request.is_disconnected():
                await asyncio.sleep(0.02)
            return Response(status_code=504)
        if self.failures_left:
            self.failures_left -= 1
            return Response(b"<html>?", 500 if self.failures_left % 2 else 200, media_type="application/json")
        answer = await self._client.post(self._target(), content=body, headers={"content-type": "application/json"})
        return Response(answer.content, answer.status_code, media_type="application/json")

    async def close(self) -> None:
        """Give the client back."""
        await self._client.aclose()


@asynccontextmanager
async def rpc_proxy(target: Callable[[], str]) -> AsyncIterator[RpcProxy]:
    """A proxy that listens on loopback."""
    proxy = RpcProxy(target)
    app = Starlette(routes=[Route("/", proxy.answer, methods=["POST"])])
    listening = await listen(app, 0)
    proxy.url = listening.url
    try:
        yield proxy
    finally:
        await listening.stop()
        await proxy.close()
