"""Owns how a stand-in listens: loopback only, a ready file, an orderly stop.

1. The ready file appears, whole, only when requests are answered, and names the address.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from xorj_localnet.files import write_json
from xorj_localnet.stopping import until_told_to_stop

STOP_S_MAX = 2


class SettingsError(ValueError):
    """A setting is missing or wrong; the text names the variable."""


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listening:
    """A started server; `url` has no trailing slash."""

    def __init__(self, server: uvicorn.Server, serving: asyncio.Task[None], url: str) -> None:
        self._server = server
        self.serving = serving
        self.url = url

    async def stop(self) -> None:
        """Answers what is under way, then closes."""
        self._server.should_exit = True
        await self.serving


async def listen(app: Starlette, port: int) -> Listening:
    """Serves `app` on 127.0.0.1; port 0 takes a free one. Raises OSError when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=STOP_S_MAX
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        if serving.done():
            await serving
            raise OSError(f"{url} could not be served")
        await asyncio.sleep(0.005)
    return Listening(server, serving, url)


async def serve_until_told(app: Starlette, port: int, ready_file: Path | None) -> None:
    """Serves until SIGINT or SIGTERM; fails when the server does."""
    listening = await listen(app, port)
    if ready_file is not None:
        write_json(ready_file, {"url": listening.url})
    told = asyncio.create_task(until_told_to_stop())
    await asyncio.wait((told, listening.serving), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    await listening.stop()


def whole(environment: Mapping[str, str], name: str, default: int) -> int:
    """A setting that is a whole number of 0 or more. Raises SettingsError."""
    text = environment.get(name, "").strip() or str(default)
    if not text.isascii() or not text.isdigit():
        raise SettingsError(f"{name} must be a whole number, not {text!r}")
    return int(text)


def required(environment: Mapping[str, str], name: str) -> str:
    """A setting that must be there. Raises SettingsError."""
    text = environment.get(name, "").strip()
    if not text:
        raise SettingsError(f"{name} is not set")
    return text


def path_or_none(environment: Mapping[str, str], name: str) -> Path | None:
    """A setting that names a file or directory, None when unset."""
    text = environment.get(name, "").strip()
    return Path(text) if text else None


def secret(environment: Mapping[str, str], name: str) -> str:
    """The content of the file that a setting names. Raises SettingsError."""
    path = path_or_none(environment, name)
    if path is None:
        raise SettingsError(f"{name} is not set")
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise SettingsError(f"{name}: {path}: {error.strerror}") from error
    if not text:
        raise SettingsError(f"{name}: {path} is empty")
    return text
