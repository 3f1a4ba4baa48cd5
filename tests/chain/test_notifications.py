"""What the local cluster tells its subscribers, heard by our watcher and by the public client."""

from __future__ import annotations

import asyncio
import json

import pytest
from solana.rpc.commitment import Confirmed
from solana.rpc.websocket_api import SolanaWsClient
from solders.pubkey import Pubkey
from solders.rpc.responses import SignatureNotification, SlotNotification
from solders.signature import Signature
from websockets.asyncio.client import connect
from xorj_solana.rpc import Commitment, RpcUnreachable, SignatureWatcher, slot_stream, watch_signature

from .conftest import SOL, Cluster

WAIT_S = 10.0


async def subscribed(cluster: Cluster, count: int) -> None:
    """Wait until the cluster has ``count`` subscriptions."""
    async with asyncio.timeout(WAIT_S):
        while len(cluster.node.subscriptions) != count:
            await asyncio.sleep(0.005)


async def test_a_signature_is_told_at_each_commitment(cluster: Cluster) -> None:
    raw = bytes(await cluster.transaction(cluster.pay(Pubkey.new_unique(), SOL)))
    signature = Signature.from_bytes(raw[1:65])
    async with SignatureWatcher(cluster.ws_url) as watcher:
        watches = [
            asyncio.create_task(watcher.seen(signature, commitment, timeout_s=WAIT_S)) for commitment in Commitment
        ]
        await subscribed(cluster, 3)
        await cluster.client.send_transaction(raw)
        processed = await watches[0]
        await cluster.warp(2)
        confirmed = await watches[1]
        assert not watches[2].done()
        await cluster.warp(30)
        finalized = await watches[2]
        assert processed.slot == confirmed.slot == finalized.slot
        assert (processed.err, confirmed.err, finalized.err) == (None, None, None)
        await subscribed(cluster, 0)


async def test_a_late_watch_is_told_at_once(cluster: Cluster) -> None:
    signature = await cluster.send(cluster.pay(Pubkey.new_unique(), 10**6 * SOL))
    await cluster.warp(32)
    seen = await watch_signature(cluster.ws_url, signature, Commitment.FINALIZED, timeout_s=WAIT_S)
    assert seen.err is not None
    assert seen.err.custom_code == 1


async def test_a_watch_that_ends_without_news_is_unknown_and_unsubscribes(cluster: Cluster) -> None:
    async with SignatureWatcher(cluster.ws_url) as watcher:
        watch = asyncio.create_task(watcher.seen(Signature.default(), Commitment.CONFIRMED, timeout_s=0.5))
        await subscribed(cluster, 1)
        with pytest.raises(RpcUnreachable):
            await watch
        await subscribed(cluster, 0)


async def test_a_watch_survives_a_broken_connection(cluster: Cluster) -> None:
    raw = bytes(await cluster.transaction(cluster.pay(Pubkey.new_unique(), SOL)))
    async with SignatureWatcher(cluster.ws_url, reconnect_delay_s=0.01) as watcher:
        watch = asyncio.create_task(
            watcher.seen(Signature.from_bytes(raw[1:65]), Commitment.PROCESSED, timeout_s=WAIT_S)
        )
        await subscribed(cluster, 1)
        connection = watcher._connection
        assert connection is not None
        connection.transport.abort()
        await subscribed(cluster, 0)
        await subscribed(cluster, 1)
        await cluster.client.send_transaction(raw)
        assert (await watch).err is None


async def test_slots_are_told_one_by_one(cluster: Cluster) -> None:
    stream = slot_stream(cluster.ws_url)
    first = asyncio.ensure_future(anext(stream))
    await subscribed(cluster, 1)
    before = await cluster.client.get_slot(Commitment.PROCESSED)
    await cluster.warp(3)
    heard = [await first, await anext(stream), await anext(stream)]
    assert [move.slot for move in heard] == [before + 1, before + 2, before + 3]
    assert all(move.parent == move.slot - 1 and move.root == move.slot - 32 for move in heard)
    await stream.aclose()  # type: ignore[attr-defined]


async def test_accounts_and_logs_are_told_when_their_slot_settles(cluster: Cluster) -> None:
    to = Pubkey.new_unique()
    async with connect(cluster.ws_url, proxy=None) as connection:
        await connection.send(request("accountSubscribe", str(to), {"commitment": "confirmed", "encoding": "base64"}))
        await connection.send(request("logsSubscribe", {"mentions": [str(to)]}, {"commitment": "confirmed"}))
        ids = [json.loads(await connection.recv())["result"] for _ in range(2)]
        signature = await cluster.send(cluster.pay(to, SOL))
        await cluster.send(cluster.pay(Pubkey.new_unique(), SOL))
        slot = await cluster.client.get_slot(Commitment.PROCESSED)
        await cluster.warp(1)
        await cluster.send(cluster.pay(to, SOL))
        await cluster.warp(1)
        messages = [json.loads(await connection.recv()) for _ in range(2)]
        told = {message["method"]: message["params"] for message in messages}
        account, logs = told["accountNotification"], told["logsNotification"]
        assert [account["subscription"], logs["subscription"]] == ids
        assert account["result"]["context"]["slot"] == logs["result"]["context"]["slot"] == slot
        assert account["result"]["value"]["lamports"] == SOL
        assert logs["result"]["value"]["signature"] == str(signature)
        await connection.send(request("accountUnsubscribe", ids[0]))
        await connection.send(request("logsUnsubscribe", ids[1]))
        assert [json.loads(await connection.recv())["result"] for _ in range(2)] == [True, True]
        await subscribed(cluster, 0)


async def test_the_public_websocket_client_works_unmodified(cluster: Cluster) -> None:
    raw = bytes(await cluster.transaction(cluster.pay(Pubkey.new_unique(), SOL)))
    async with SolanaWsClient(cluster.ws_url) as public:
        slots = await public.slot_subscribe()
        await public.signature_subscribe(signature=Signature.from_bytes(raw[1:65]), commitment=Confirmed)
        await cluster.client.send_transaction(raw)
        await cluster.warp(1)
        assert isinstance(await public.recv(), SlotNotification)
        await public.unsubscribe(slots)
        await cluster.warp(1)
        told = await public.recv()
        assert isinstance(told, SignatureNotification)
        assert told.result.value.err is None


def request(method: str, *params: object) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
