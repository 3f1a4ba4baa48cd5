"""Owns how the ingestor asks an HTTP service: bounded in time and size, no redirects, nothing from the environment.

1. An answer is read to its end or not used at all.
2. A body larger than 1 MiB is refused before it is held; compression is neither asked for nor undone.
3. The secret header goes to the base address only.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

import httpx

BODY_BYTES_MAX = 1024 * 1024
ANSWER_S_MAX = 5.0


class Unreachable(Exception):
    """No whole answer came in time."""


class BodyTooLarge(Exception):
    """The answer's body is larger than 1 MiB."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer."""

    status: int
    body: bytes


class HttpSource:
    """One service; use as an async context manager."""

    def __init__(self, base_url: str, headers: Mapping[str, str], *, answer_s_max: float = ANSWER_S_MAX) -> None:
        self._answer_s_max = answer_s_max
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={**headers, "accept-encoding": "identity"},
            timeout=answer_s_max,
            follow_redirects=False,
            trust_env=False,
        )

    async def __aenter__(self) -> "HttpSource":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """The answer to a GET. Raises Unreachable, BodyTooLarge."""
        body = bytearray()
        try:
            # A server that sends a byte now and then would keep every single timeout of the client from firing.
            async with (
                asyncio.timeout(self._answer_s_max),
                self._http.stream("GET", path, params=dict(params or {})) as response,
            ):
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > BODY_BYTES_MAX:
                        raise BodyTooLarge(f"{path}: more than {BODY_BYTES_MAX} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError, OSError) as error:
            raise Unreachable(f"{path}: {type(error).__name__}: {error}") from error
        return Answer(response.status_code, bytes(body))
