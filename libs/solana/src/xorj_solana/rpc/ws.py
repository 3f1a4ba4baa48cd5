"""Notifications over WebSocket: the end of a transaction, and slots. A hint that saves waiting, never a proof.

1. A broken connection is made again, and what was watched is watched again, until the caller's time is over.
2. Messages are read as strictly as answers; a broken one breaks the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from solders.signature import Signature
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from xorj_solana.rpc import parse
from xorj_solana.rpc.client import endpoint_name
from xorj_solana.rpc.errors import RpcUnreachable
from xorj_solana.rpc.results import Commitment
from xorj_solana.rpc.transaction_error import TransactionError

MESSAGE_BYTES_MAX = 1024 * 1024
_BROKEN = (OSError, WebSocketException, parse.Malformed, TimeoutError)


@dataclass(frozen=True, slots=True)
class SignatureSeen:
    """A transaction reached the commitment watched for; ``err`` is ``None`` for success."""

    slot: int
    err: TransactionError | None


@dataclass(frozen=True, slots=True)
class SlotMoved:
    """A slot began; ``root`` is the newest finalized one."""

    slot: int
    parent: int
    root: int


_Watch = tuple[Signature, Commitment]


class SignatureWatcher:
    """Watches any number of signatures over one connection. Use it as an async context manager."""

    def __init__(self, ws_url: str, *, reconnect_delay_s: float = 0.2, open_timeout_s: float = 5.0) -> None:
        self._url = ws_url
        self._name = endpoint_name(ws_url)
        self._reconnect_delay_s = reconnect_delay_s
        self._open_timeout_s = open_timeout_s
        self._ids = itertools.count(1)
        self._waiting: dict[_Watch, list[asyncio.Future[SignatureSeen]]] = {}
        self._asked: dict[int, _Watch] = {}
        self._subscribed: dict[int, _Watch] = {}
        self._connection: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def seen(self, signature: Signature, commitment: Commitment, *, timeout_s: float) -> SignatureSeen:
        """Wait until ``signature`` reaches ``commitment``; raises ``RpcUnreachable`` when the time is over."""
        watch = (signature, commitment)
        future: asyncio.Future[SignatureSeen] = asyncio.get_running_loop().create_future()
        first = watch not in self._waiting
        self._waiting.setdefault(watch, []).append(future)
        try:
            async with asyncio.timeout(timeout_s):
                if first and self._connection is not None:
                    with contextlib.suppress(*_BROKEN):  # the connection is made again, then this is asked again
                        await self._ask(self._connection, watch)
                return await future
        except TimeoutError as error:
            raise RpcUnreachable(self._name, f"{signature} not {commitment.value} within {timeout_s} s") from error
        finally:
            await self._forget(watch, future)

    async def _forget(self, watch: _Watch, future: asyncio.Future[SignatureSeen]) -> None:
        waiting = self._waiting.get(watch, [])
        if future in waiting:
            waiting.remove(future)
        if waiting:
            return
        self._waiting.pop(watch, None)
        for subscription in [number for number, other in self._subscribed.items() if other == watch]:
            del self._subscribed[subscription]
            if self._connection is not None:
                with contextlib.suppress(*_BROKEN):  # a broken connection has no subscriptions left
                    request = _request(next(self._ids), "signatureUnsubscribe", [subscription])
                    await self._connection.send(request)

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(*_BROKEN):
                await self._serve_connection()
            self._connection = None
            await asyncio.sleep(self._reconnect_delay_s)

    async def _serve_connection(self) -> None:
        async with connect(
            self._url, open_timeout=self._open_timeout_s, max_size=MESSAGE_BYTES_MAX, proxy=None
        ) as connection:
            self._asked.clear()
            self._subscribed.clear()
            self._connection = connection
            for watch in list(self._waiting):
                await self._ask(connection, watch)
            async for message in connection:
                self._handle(message)

    async def _ask(self, connection: ClientConnection, watch: _Watch) -> None:
        signature, commitment = watch
        request_id = next(self._ids)
        self._asked[request_id] = watch
        params = [str(signature), {"commitment": commitment.value}]
        await connection.send(_request(request_id, "signatureSubscribe", params))

    def _handle(self, message: str | bytes) -> None:
        body = parse.mapping(parse.decode(message), "message")
        if body.get("method") == "signatureNotification":
            subscription, result = _notification(body)
            slot, value = parse.context(result)
            watch = self._subscribed.pop(subscription, None)
            seen = SignatureSeen(slot, parse.transaction_error(parse.mapping(value, "value").get("err")))
            for future in [] if watch is None else self._waiting.pop(watch, []):
                if not future.done():
                    future.set_result(seen)
            return
        request_id = parse.unsigned(body.get("id"), "id")
        answer = parse.response(body, request_id)
        asked = self._asked.pop(request_id, None)
        if asked is not None:
            if isinstance(answer, parse.Fault):
                raise parse.Malformed(f"subscription refused: {answer.message}")
            self._subscribed[parse.unsigned(answer, "subscription")] = asked


async def watch_signature(
    ws_url: str, signature: Signature, commitment: Commitment, *, timeout_s: float
) -> SignatureSeen:
    """Wait for one signature over a connection of its own; raises ``RpcUnreachable`` when the time is over."""
    async with SignatureWatcher(ws_url) as watcher:
        return await watcher.seen(signature, commitment, timeout_s=timeout_s)


async def slot_stream(
    ws_url: str, *, silence_s: float = 10.0, reconnect_delay_s: float = 0.2
) -> AsyncIterator[SlotMoved]:
    """Slots as they begin, for ever; a connection silent for ``silence_s`` is made again. Gaps are possible."""
    while True:
        with contextlib.suppress(*_BROKEN):
            async with connect(ws_url, open_timeout=silence_s, max_size=MESSAGE_BYTES_MAX, proxy=None) as connection:
                await connection.send(_request(1, "slotSubscribe", []))
                while True:
                    async with asyncio.timeout(silence_s):
                        message = await connection.recv()
                    body = parse.mapping(parse.decode(message), "message")
                    if body.get("method") != "slotNotification":
                        continue
                    result = parse.mapping(_notification(body)[1], "result")
                    names = ("slot", "parent", "root")
                    yield SlotMoved(*(parse.unsigned(result.get(name), name) for name in names))
        await asyncio.sleep(reconnect_delay_s)


def _request(request_id: int, method: str, params: Sequence[object]) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})


def _notification(body: dict[str, object]) -> tuple[int, object]:
    params = parse.mapping(body.get("params"), "params")
    return parse.unsigned(params.get("subscription"), "subscription"), params.get("result")
