"""An asynchronous JSON-RPC client over one endpoint: one method per question we ask, strict answers, typed errors.

1. One call is one request: nothing is retried here, the caller knows what a second one would mean.
2. A call ends within ``timeout_s`` and reads at most ``body_bytes_max``.
3. An answer about accounts older than ``min_context_slot`` is refused even if the endpoint gives it.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.signature import Signature

from xorj_solana.rpc import parse
from xorj_solana.rpc.errors import NODE_UNWELL_CODES, RpcMalformed, RpcRejected, RpcUnreachable
from xorj_solana.rpc.results import (
    AccountsAt,
    Commitment,
    KeyedAccountsAt,
    LatestBlockhash,
    PerformanceSample,
    PrioritizationFee,
    Simulation,
    StatusesAt,
    TransactionAt,
)

T = TypeVar("T")

MULTIPLE_ACCOUNTS_MAX = 100
STATUSES_MAX = 256
_TRANSACTION_VERSION_MAX = 1
_HEADERS = {"content-type": "application/json", "accept-encoding": "identity"}


def endpoint_name(url: str) -> str:
    """Host and port of an endpoint: what may be logged of it."""
    parts = urlsplit(url)
    return parts.hostname or "?" if parts.port is None else f"{parts.hostname}:{parts.port}"


class RpcClient:
    """One endpoint. Close it with ``aclose`` or use it as an async context manager.

    Every method raises ``RpcUnreachable``, ``RpcMalformed`` or ``RpcRejected``.
    """

    def __init__(
        self, url: str, *, timeout_s: float = 5.0, body_bytes_max: int = 16 * 1024 * 1024, connections_max: int = 32
    ) -> None:
        self.name = endpoint_name(url)
        self._url = url
        self._timeout_s = timeout_s
        self._body_bytes_max = body_bytes_max
        self._ids = itertools.count(1)
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    # -- slots and blockhashes -----------------------------------------------------------------------------------

    async def get_slot(self, commitment: Commitment) -> int:
        """The slot that has reached ``commitment``."""
        return await self._ask("getSlot", [_at(commitment)], lambda result: parse.unsigned(result, "slot"))

    async def get_block_height(self, commitment: Commitment) -> int:
        """The block height at ``commitment``: what blockhash expiry is judged by."""
        return await self._ask("getBlockHeight", [_at(commitment)], lambda result: parse.unsigned(result, "height"))

    async def get_latest_blockhash(self, commitment: Commitment) -> LatestBlockhash:
        """The newest blockhash at ``commitment`` with its own last valid height."""
        return await self._ask("getLatestBlockhash", [_at(commitment)], parse.latest_blockhash)

    async def get_genesis_hash(self) -> Hash:
        """The hash that names the cluster."""
        return await self._ask("getGenesisHash", [], lambda result: parse.blockhash(result, "genesis hash"))

    async def get_performance_samples(self, limit: int) -> tuple[PerformanceSample, ...]:
        """Recent counts of slots per period, newest first."""
        return await self._ask("getRecentPerformanceSamples", [limit], parse.performance_samples)

    # -- accounts ------------------------------------------------------------------------------------------------

    async def get_multiple_accounts(
        self, keys: Sequence[Pubkey], commitment: Commitment, min_context_slot: int | None = None
    ) -> AccountsAt:
        """At most 100 accounts at one slot, in the order of ``keys``."""
        if len(keys) > MULTIPLE_ACCOUNTS_MAX:
            raise ValueError(f"at most {MULTIPLE_ACCOUNTS_MAX} accounts in one call")
        config = _at(commitment, encoding="base64", minContextSlot=min_context_slot)

        def read(result: object) -> AccountsAt:
            found = parse.accounts_at(result, len(keys))
            if min_context_slot is not None and found.slot < min_context_slot:
                raise parse.Malformed(f"context slot {found.slot} is before {min_context_slot}")
            return found

        return await self._ask("getMultipleAccounts", [[str(key) for key in keys], config], read)

    async def get_token_accounts_by_owner(
        self, owner: Pubkey, token_program: Pubkey, commitment: Commitment
    ) -> KeyedAccountsAt:
        """Every token account of ``owner`` under one token program."""
        params = [str(owner), {"programId": str(token_program)}, _at(commitment, encoding="base64")]
        return await self._ask("getTokenAccountsByOwner", params, parse.keyed_accounts_at)

    async def get_program_accounts(
        self, program: Pubkey, prefix: bytes, commitment: Commitment, *, data_bytes: int
    ) -> KeyedAccountsAt:
        """Every account of a program whose data begins with ``prefix``, with the first ``data_bytes`` of each.

        Many providers refuse this for large programs.
        """
        wanted = {"memcmp": {"offset": 0, "bytes": base64.b64encode(prefix).decode(), "encoding": "base64"}}
        config = _at(
            commitment,
            encoding="base64",
            withContext=True,
            filters=[wanted],
            dataSlice={"offset": 0, "length": data_bytes},
        )
        return await self._ask("getProgramAccounts", [str(program), config], parse.keyed_accounts_at)

    async def get_minimum_balance_for_rent_exemption(self, data_bytes: int) -> int:
        """Lamports that exempt an account of this size from rent."""
        return await self._ask(
            "getMinimumBalanceForRentExemption", [data_bytes], lambda result: parse.unsigned(result, "lamports")
        )

    # -- transactions --------------------------------------------------------------------------------------------

    async def send_transaction(self, raw: bytes, *, skip_preflight: bool = True, max_retries: int = 0) -> Signature:
        """Hand wire bytes to the endpoint. A signature means received, not landed; see the errors for the rest."""
        config = {
            "encoding": "base64",
            "skipPreflight": skip_preflight,
            "maxRetries": max_retries,
            "preflightCommitment": Commitment.CONFIRMED.value,
        }
        params = [base64.b64encode(raw).decode(), config]
        return await self._ask("sendTransaction", params, lambda result: parse.signature(result, "signature"))

    async def get_fee_for_message(self, message: bytes, commitment: Commitment) -> int | None:
        """Lamports that the message would cost; ``None`` when its blockhash has expired."""
        params = [base64.b64encode(message).decode(), _at(commitment)]
        return await self._ask("getFeeForMessage", params, parse.fee)

    async def simulate_transaction(
        self,
        raw: bytes,
        *,
        commitment: Commitment = Commitment.CONFIRMED,
        sig_verify: bool = False,
        replace_recent_blockhash: bool = False,
        accounts: Sequence[Pubkey] = (),
        min_context_slot: int | None = None,
    ) -> Simulation:
        """Run wire bytes without effect; ``accounts`` are returned as they would be afterwards."""
        config = _at(
            commitment,
            encoding="base64",
            sigVerify=sig_verify,
            replaceRecentBlockhash=replace_recent_blockhash,
            accounts={"encoding": "base64", "addresses": [str(key) for key in accounts]} if accounts else None,
            minContextSlot=min_context_slot,
        )
        params = [base64.b64encode(raw).decode(), config]
        return await self._ask("simulateTransaction", params, lambda result: parse.simulation(result, len(accounts)))

    async def get_signature_statuses(self, signatures: Sequence[Signature], *, search_history: bool) -> StatusesAt:
        """Statuses of at most 256 signatures, by signature."""
        if len(signatures) > STATUSES_MAX:
            raise ValueError(f"at most {STATUSES_MAX} signatures in one call")
        params = [[str(one) for one in signatures], {"searchTransactionHistory": search_history}]
        return await self._ask("getSignatureStatuses", params, lambda result: parse.statuses_at(result, signatures))

    async def get_transaction(
        self, signature: Signature, commitment: Commitment = Commitment.CONFIRMED
    ) -> TransactionAt | None:
        """A landed transaction, or ``None`` while it has not reached ``commitment``."""
        config = _at(commitment, encoding="base64", maxSupportedTransactionVersion=_TRANSACTION_VERSION_MAX)
        return await self._ask("getTransaction", [str(signature), config], parse.transaction_at)

    async def get_recent_prioritization_fees(self, writable: Sequence[Pubkey]) -> tuple[PrioritizationFee, ...]:
        """Lowest prices of recent slots for locking ``writable`` accounts; often zero."""
        params = [[str(key) for key in writable]]
        return await self._ask("getRecentPrioritizationFees", params, parse.prioritization_fees)

    async def request_airdrop(self, to: Pubkey, lamports: int) -> Signature:
        """Ask a test cluster's faucet for lamports."""
        return await self._ask(
            "requestAirdrop", [str(to), lamports], lambda result: parse.signature(result, "signature")
        )

    # -- one request ---------------------------------------------------------------------------------------------

    async def _ask(self, method: str, params: Sequence[object], read: Callable[[object], T]) -> T:
        request_id = next(self._ids)
        body = json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode()
        raw = await self._post(method, body)
        try:
            result = parse.response(parse.decode(raw), request_id)
            if not isinstance(result, parse.Fault):
                return read(result)
        except parse.Malformed as error:
            raise RpcMalformed(self.name, f"{method}: {error}") from error
        if result.code in NODE_UNWELL_CODES:
            raise RpcUnreachable(self.name, f"{method}: {result.code} {result.message}")
        raise RpcRejected(self.name, result.code, result.message, result.err, result.logs)

    async def _post(self, method: str, body: bytes) -> bytes:
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._http().post(self._url, data=body, headers=_HEADERS, allow_redirects=False) as response,
            ):
                if response.status >= 500 or response.status == 429:
                    raise RpcUnreachable(self.name, f"{method}: HTTP {response.status}")
                if response.status != 200:
                    raise RpcMalformed(self.name, f"{method}: HTTP {response.status}")
                received = bytearray()
                async for chunk in response.content.iter_any():
                    received += chunk
                    if len(received) > self._body_bytes_max:
                        raise RpcMalformed(self.name, f"{method}: more than {self._body_bytes_max} bytes")
                return bytes(received)
        except TimeoutError as error:
            raise RpcUnreachable(self.name, f"{method}: no answer within {self._timeout_s} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RpcUnreachable(self.name, f"{method}: {type(error).__name__}") from error

    def _http(self) -> aiohttp.ClientSession:
        """The session, made where a loop runs. It sends a POST once, and asks for and unpacks no compressed bodies."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections_max)
            unbounded = aiohttp.ClientTimeout(total=None)  # `_post` has the one deadline
            self._session = aiohttp.ClientSession(connector=connector, timeout=unbounded, auto_decompress=False)
        return self._session


def _at(commitment: Commitment, **members: object) -> dict[str, object]:
    present = {name: value for name, value in members.items() if value is not None}
    return {"commitment": commitment.value, **present}
