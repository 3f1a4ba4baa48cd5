"""The market's and genesis' way to the local chain: JSON-RPC over HTTP, several calls in one request.

1. Calls of one batch are answered together or not at all; an error of any raises ChainRefused.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import cast

import httpx
from solders.pubkey import Pubkey

from xorj_localnet.market.accounts import PlacedAccount
from xorj_localnet.market.exact_json import Json, dumps, loads

TIMEOUT_S = 10.0


class ChainRefused(Exception):
    """The chain answered with an error, or not with an answer at all."""


@dataclass(frozen=True, slots=True)
class Call:
    """One JSON-RPC call."""

    method: str
    params: list[Json]


class ChainAccess:
    """A client of one chain; use as an async context manager."""

    def __init__(self, rpc_url: str) -> None:
        self._http = httpx.AsyncClient(base_url=rpc_url, timeout=TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> "ChainAccess":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def batch(self, calls: Sequence[Call]) -> list[Json]:
        """Results in the order of the calls. Raises ChainRefused."""
        body: list[Json] = [
            {"jsonrpc": "2.0", "id": place, "method": call.method, "params": call.params}
            for place, call in enumerate(calls)
        ]
        try:
            response = await self._http.post(
                "", content=dumps(body).encode(), headers={"content-type": "application/json"}
            )
            answers = loads(response.content)
        except (httpx.HTTPError, ValueError) as error:
            raise ChainRefused(f"{calls[0].method}: {error!r}") from error
        if not isinstance(answers, list) or len(answers) != len(calls):
            raise ChainRefused(f"{calls[0].method}: unexpected answer {answers!r:.300}")
        results: dict[int, Json] = {}
        for answer in answers:
            if not isinstance(answer, dict) or "result" not in answer:
                raise ChainRefused(f"{[call.method for call in calls]}: {answer!r:.2000}")
            results[cast("int", answer["id"])] = answer["result"]
        return [results[place] for place in range(len(calls))]

    async def call(self, method: str, *params: Json) -> Json:
        """One result. Raises ChainRefused."""
        return (await self.batch([Call(method, list(params))]))[0]

    async def place(self, accounts: Sequence[PlacedAccount]) -> None:
        """Writes accounts into the chain, all between two transactions. Raises ChainRefused."""
        await self.batch(
            [Call("local_setAccount", [str(account.address), cast("Json", account.as_json())]) for account in accounts]
        )

    async def account_data(self, keys: Sequence[Pubkey], commitment: str = "processed") -> list[bytes | None]:
        """The data of accounts as one answer has them; None where there is no account. Raises ChainRefused."""
        options: Json = {"encoding": "base64", "commitment": commitment}
        result = await self.call("getMultipleAccounts", [str(key) for key in keys], options)
        values = cast("dict[str, Json]", result)["value"]
        return [_data(value) for value in cast("list[Json]", values)]


def _data(value: Json) -> bytes | None:
    if value is None:
        return None
    data = cast("list[Json]", cast("dict[str, Json]", value)["data"])
    return base64.b64decode(str(data[0]))
