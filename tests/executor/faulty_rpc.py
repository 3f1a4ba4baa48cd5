"""A loopback RPC endpoint that passes everything on, or answers with a status and a body of the test's choice."""

import asyncio
from types import TracebackType
from typing import Self

import httpx


class FaultyRpc:
    """`target` is where requests go while `fault` is None."""

    def __init__(self) -> None:
        self.target = ""
        self.fault: tuple[int, bytes] | None = None
        self.faults_answered = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._http = httpx.AsyncClient(timeout=5)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._http.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length:"))
            status, body = await self._answer(await reader.readexactly(length))
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (status, len(body)))
            writer.write(body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, httpx.HTTPError):
            return  # the client sees a broken connection, one more fault
        finally:
            writer.close()

    async def _answer(self, request: bytes) -> tuple[int, bytes]:
        if self.fault is not None:
            self.faults_answered += 1
            return self.fault
        answer = await self._http.post(self.target, content=request, headers={"content-type": "application/json"})
        return answer.status_code, answer.content
