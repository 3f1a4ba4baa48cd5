"""HTTP POST and WebSocket on one loopback port, and the task that lets slots pass.

1. A body over 50 KiB is refused unread, as a node does; a WebSocket reader that does not keep up is disconnected.
2. The ready file appears, whole, only once both are served.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import base58
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from xorj_localnet.chain.faults import Json, RpcFault
from xorj_localnet.chain.node import Node, error_response, parse, read_call
from xorj_localnet.chain.params import Params
from xorj_localnet.chain.settings import ChainSettings

MAX_BODY_BYTES = 50 * 1024
MAX_QUEUED_NOTIFICATIONS = 20_000
_TRY_AGAIN_LATER = 1013
_log = logging.getLogger(__name__)


class Connection:
    """One WebSocket: its subscriptions and what is still to be sent."""

    def __init__(self, node: Node, socket_: WebSocket) -> None:
        self._node = node
        self._socket = socket_
        self._queue: asyncio.Queue[Json] = asyncio.Queue()
        self._ids: set[int] = set()

    async def serve(self) -> None:
        """Answer and notify until either side closes."""
        await self._socket.accept()
        writer = asyncio.create_task(self._write())
        try:
            while not writer.done():
                self._handle(await self._socket.receive_text())
        except (WebSocketDisconnect, RuntimeError, KeyError) as gone:
            _log.debug("websocket closed: %s", gone)
        finally:
            self._node.subscriptions.drop(self._ids)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await writer

    async def _write(self) -> None:
        while True:
            message = await self._queue.get()
            if self._queue.qsize() > MAX_QUEUED_NOTIFICATIONS:
                await self._socket.close(_TRY_AGAIN_LATER)
                return
            await self._socket.send_text(json.dumps(message))

    def _handle(self, text: str) -> None:
        try:
            request = parse(text)
        except RpcFault as fault:
            self._queue.put_nowait(error_response(None, fault))
            return
        for one in request if isinstance(request, list) else [request]:
            self._answer(one)

    def _answer(self, request: Json) -> None:
        call = read_call(request)
        if isinstance(call, RpcFault):
            self._queue.put_nowait(error_response(None, call))
            return
        request_id, method, params = call
        try:
            if method.endswith("Unsubscribe"):
                subscription_id = Params(params).number(0)
                self._node.subscriptions.unsubscribe(subscription_id)
                self._ids.discard(subscription_id)
                self._reply(request_id, result=True)
            elif method.endswith("Subscribe"):
                subscriptions = self._node.subscriptions
                new_id, catch_up = subscriptions.subscribe(method, Params(params), self._queue.put_nowait)
                self._ids.add(new_id)
                self._reply(request_id, result=new_id)
                catch_up()
            else:
                self._reply(request_id, result=self._node.call(method, params))
        except RpcFault as fault:
            self._queue.put_nowait(error_response(request_id, fault))

    def _reply(self, request_id: Json, *, result: Json) -> None:
        self._queue.put_nowait({"jsonrpc": "2.0", "result": result, "id": request_id})


def application(node: Node) -> Starlette:
    """The ASGI application over a node."""

    async def post(request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            return PlainTextResponse(
                "Supplied content type is not allowed. Content-Type: application/json is required\n", 415
            )
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return PlainTextResponse("", 413)
        answer = node.answer(bytes(body))
        text = b"" if answer is None else json.dumps(answer, separators=(",", ":")).encode()
        return Response(text, media_type="application/json")

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok")

    async def websocket(socket_: WebSocket) -> None:
        await Connection(node, socket_).serve()

    routes = [
        Route("/", post, methods=["POST"]),
        Route("/health", health, methods=["GET"]),
        WebSocketRoute("/", websocket),
    ]
    return Starlette(routes=routes)


async def pass_slots(node: Node, slot_ms: int) -> None:
    """Advance the node every ``slot_ms``, without drifting and without bursts after a pause."""
    loop = asyncio.get_running_loop()
    period_s = slot_ms / 1_000
    due_s = loop.time() + period_s
    while True:
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        node.tick()
        due_s = max(due_s + period_s, loop.time())


class _Server(uvicorn.Server):
    """The process owns its signals; the server must not take them over."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def running(node: Node, settings: ChainSettings) -> AsyncIterator[int]:
    """Serve a node until left; yields the port. Raises ``OSError`` when the port is taken."""
    listener = socket.create_server(("127.0.0.1", settings.port), backlog=512)
    port: int = listener.getsockname()[1]
    config = uvicorn.Config(
        application(node),
        log_config=None,
        log_level="warning",
        access_log=False,
        ws="websockets-sansio",
        lifespan="off",
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    slots = asyncio.create_task(pass_slots(node, settings.slot_ms)) if settings.slot_ms else None
    try:
        while not server.started:
            if serving.done():
                await serving
                raise RuntimeError("the chain server ended before it listened")
            await asyncio.sleep(0.005)
        if settings.ready_file is not None:
            _write_ready_file(settings.ready_file, node, port)
        yield port
    finally:
        if slots is not None:
            slots.cancel()
        server.should_exit = True
        server.force_exit = True
        await serving


def _write_ready_file(path: Path, node: Node, port: int) -> None:
    body = {
        "rpc_url": f"http://127.0.0.1:{port}",
        "ws_url": f"ws://127.0.0.1:{port}",
        "genesis_hash": base58.b58encode(node.bank.genesis_hash).decode(),
    }
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(body))
    os.replace(partial, path)
