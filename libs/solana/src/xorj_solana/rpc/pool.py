"""Several endpoints: sends go to all, reads to the first that answers.

1. A send counts as handed over when at least one endpoint took it; every endpoint's answer is returned.
2. A read falls through to the next endpoint on any RPC error; the last error is raised when none answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from solders.signature import Signature

from xorj_solana.rpc.client import RpcClient
from xorj_solana.rpc.errors import RpcError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Handed:
    """What one endpoint said to a send: the signature, or the error."""

    endpoint: str
    answer: Signature | RpcError

    @property
    def taken(self) -> bool:
        """Whether this endpoint took the transaction."""
        return isinstance(self.answer, Signature)


class RpcPool:
    """A fixed, ordered set of endpoints; the first is preferred for reads."""

    def __init__(self, clients: Sequence[RpcClient]) -> None:
        if not clients:
            raise ValueError("at least one RPC endpoint is needed")
        self.clients = tuple(clients)

    async def aclose(self) -> None:
        """Close every client."""
        for client in self.clients:
            await client.aclose()

    async def send_everywhere(self, raw: bytes) -> tuple[Handed, ...]:
        """Hand identical bytes to every endpoint at once; never raises an RPC error."""
        return tuple(await asyncio.gather(*(_hand(client, raw) for client in self.clients)))

    async def read_first_ok(self, ask: Callable[[RpcClient], Awaitable[T]]) -> T:
        """The first good answer in endpoint order; raises the last ``RpcError``."""
        *earlier, last = self.clients
        for client in earlier:
            try:
                return await ask(client)
            except RpcError:  # the next endpoint may know; the last one's error is raised
                continue
        return await ask(last)


async def _hand(client: RpcClient, raw: bytes) -> Handed:
    try:
        return Handed(client.name, await client.send_transaction(raw))
    except RpcError as error:
        return Handed(client.name, error)
