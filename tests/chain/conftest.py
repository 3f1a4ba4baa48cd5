"""A local cluster on real sockets whose slots pass only when a test says so."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction
from xorj_localnet.chain.faults import Json
from xorj_localnet.chain.genesis import Genesis
from xorj_localnet.chain.node import Node
from xorj_localnet.chain.server import running
from xorj_localnet.chain.settings import ChainSettings
from xorj_localnet.chain.slots import Depths
from xorj_solana.rpc import Commitment, RpcClient

SOL = 10**9


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster, a client for it and a funded key."""

    node: Node
    port: int
    client: RpcClient
    http: httpx.AsyncClient
    payer: Keypair

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def call(self, method: str, *params: Json) -> dict[str, Json]:
        """The whole response to one request."""
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
        answer: dict[str, Json] = (await self.http.post(self.url, json=body)).json()
        return answer

    async def warp(self, slots: int) -> None:
        """Let slots pass."""
        assert "result" in await self.call("local_warpSlots", slots)

    async def blockhash(self, commitment: Commitment = Commitment.PROCESSED) -> Hash:
        return (await self.client.get_latest_blockhash(commitment)).blockhash

    async def transaction(self, *instructions: Instruction, blockhash: Hash | None = None) -> VersionedTransaction:
        recent = blockhash or await self.blockhash()
        message = MessageV0.try_compile(self.payer.pubkey(), list(instructions), [], recent)
        return VersionedTransaction(message, [self.payer])

    def pay(self, to: Pubkey, lamports: int) -> Instruction:
        return transfer(TransferParams(from_pubkey=self.payer.pubkey(), to_pubkey=to, lamports=lamports))

    async def send(self, *instructions: Instruction) -> Signature:
        return await self.client.send_transaction(bytes(await self.transaction(*instructions)))

    async def balance(self, key: Pubkey, commitment: Commitment) -> int:
        account = (await self.client.get_multiple_accounts([key], commitment)).accounts[0]
        return 0 if account is None else account.lamports


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    settings = ChainSettings(0, None, 0, Depths(2, 32), None)
    node = Node(Genesis(), secrets.token_bytes(32), settings.depths)
    async with running(node, settings) as port:
        url = f"http://127.0.0.1:{port}"
        async with RpcClient(url) as client, httpx.AsyncClient() as http:
            made = Cluster(node, port, client, http, Keypair())
            await client.request_airdrop(made.payer.pubkey(), 100 * SOL)
            await made.warp(40)
            yield made


@pytest.fixture
def built_programs() -> Path:
    folder = Path(__file__).parents[2] / "infra" / "programs" / "built"
    if not (folder / "cpmm.so").exists():
        pytest.skip("the programs are not built")
    return folder
