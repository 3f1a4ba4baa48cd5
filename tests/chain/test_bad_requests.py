"""Rubbish sent to the local cluster is refused with the code a node uses, and the cluster goes on."""

from __future__ import annotations

import json

from websockets.asyncio.client import connect
from xorj_localnet.chain.faults import Json

from .conftest import Cluster

KEY = "So11111111111111111111111111111111111111112"


BODIES: list[tuple[bytes, int]] = [
    (b"", -32700),
    (b"{", -32700),
    (b"\xff\xfe", -32700),
    (b"[" * 40_000, -32700),
    (b"[]", -32600),
    (b"null", -32600),
    (b"1", -32600),
    (b'{"jsonrpc":"1.0","id":1,"method":"getSlot"}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600),
    (b'{"jsonrpc":"2.0","id":{},"method":"getSlot"}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":"noSuchMethod"}', -32601),
    (b'{"jsonrpc":"2.0","id":1,"method":"getSlot","params":{"a":1}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"getSlot","params":[7]}', -32602),
]


async def test_a_body_that_is_no_request_gets_its_code(cluster: Cluster) -> None:
    for body, code in BODIES:
        answer = await cluster.http.post(cluster.url, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 200, body[:80]
        assert answer.json()["error"]["code"] == code, body[:80]
    assert (await cluster.call("getHealth"))["result"] == "ok"


PARAMETERS: list[tuple[str, list[Json], int]] = [
    ("getBalance", [], -32602),
    ("getBalance", ["1111"], -32602),
    ("getBalance", ["0OIl"], -32602),
    ("getBalance", [KEY, {"commitment": "soon"}], -32602),
    ("getBalance", [KEY, {"minContextSlot": -1}], -32602),
    ("getBalance", [KEY, {"minContextSlot": 1.5}], -32602),
    ("getAccountInfo", [KEY, {"encoding": "hex"}], -32602),
    ("getAccountInfo", [KEY, {"dataSlice": {"offset": True, "length": 1}}], -32602),
    ("getMultipleAccounts", [[KEY] * 101], -32602),
    ("getMultipleAccounts", [[1]], -32602),
    ("getSignatureStatuses", [["1" * 64] * 257], -32602),
    ("getSignatureStatuses", [["short"]], -32602),
    ("getProgramAccounts", [KEY, {"filters": [{"dataSize": 1}] * 5}], -32602),
    ("getProgramAccounts", [KEY, {"filters": [{"memcmp": {"offset": 0, "bytes": "0"}}]}], -32602),
    ("getTokenAccountsByOwner", [KEY, {"programId": KEY}], -32602),
    ("getTokenAccountBalance", [KEY], -32602),
    ("getTransaction", ["1" * 64, {"commitment": "processed"}], -32602),
    ("getMinimumBalanceForRentExemption", [2**60], -32602),
    ("isBlockhashValid", ["x"], -32602),
    ("getFeeForMessage", ["AAAA"], -32602),
    ("sendTransaction", [], -32602),
    ("sendTransaction", ["AAAA", {"encoding": "base64"}], -32602),
    ("sendTransaction", ["!", {"encoding": "base64"}], -32602),
    ("sendTransaction", ["AAAA", {"encoding": "hex"}], -32602),
    ("sendTransaction", ["A" * 2_000, {"encoding": "base64"}], -32602),
    ("simulateTransaction", ["AAAA", {"encoding": "base64"}], -32602),
    ("requestAirdrop", [KEY, 2**64], -32602),
    ("local_warpSlots", [10**9], -32602),
    ("local_setAccount", [KEY, {"lamports": "1", "owner": KEY}], -32602),
]


async def test_wrong_parameters_get_their_code(cluster: Cluster) -> None:
    for method, params, code in PARAMETERS:
        answer = await cluster.call(method, *params)
        assert isinstance(answer.get("error"), dict), (method, params)
        assert json.dumps(answer["error"]).startswith(f'{{"code": {code},'), (method, params, answer)


async def test_what_is_not_a_json_post_is_refused_by_http(cluster: Cluster) -> None:
    json_type = {"content-type": "application/json"}
    assert (await cluster.http.get(cluster.url)).status_code == 405
    assert (await cluster.http.post(cluster.url, content=b"{}")).status_code == 415
    big = await cluster.http.post(cluster.url, content=b" " * 60_000, headers=json_type)
    assert big.status_code == 413


async def test_a_batch_is_answered_in_order_and_notifications_are_not(cluster: Cluster) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": "a", "method": "getHealth"},
        {"jsonrpc": "2.0", "method": "getHealth"},
        7,
        {"jsonrpc": "2.0", "id": "b", "method": "nothing"},
    ]
    answers = (await cluster.http.post(cluster.url, json=batch)).json()
    assert [(answer["id"], answer.get("error", {}).get("code")) for answer in answers] == [
        ("a", None),
        (None, -32600),
        ("b", -32601),
    ]


MESSAGES = [
    ("rubbish", -32700),
    ("[[]]", -32600),
    ('{"jsonrpc":"2.0","id":1,"method":"fooSubscribe"}', -32601),
    ('{"jsonrpc":"2.0","id":1,"method":"signatureSubscribe","params":["x"]}', -32602),
    ('{"jsonrpc":"2.0","id":1,"method":"logsSubscribe","params":[{"mentions":[]}]}', -32602),
    ('{"jsonrpc":"2.0","id":1,"method":"slotUnsubscribe","params":[99]}', -32602),
]


async def test_a_wrong_websocket_message_gets_its_code_and_the_connection_lives(cluster: Cluster) -> None:
    async with connect(cluster.ws_url, proxy=None) as connection:
        for text, code in MESSAGES:
            await connection.send(text)
            assert json.loads(await connection.recv())["error"]["code"] == code, text
        await connection.send('{"jsonrpc":"2.0","id":2,"method":"getHealth"}')
        assert json.loads(await connection.recv())["result"] == "ok"


async def test_a_binary_websocket_message_does_not_hurt_the_others(cluster: Cluster) -> None:
    async with connect(cluster.ws_url, proxy=None) as connection:
        await connection.send(b"\x00\x01")
        await connection.wait_closed()
    assert (await cluster.call("getHealth"))["result"] == "ok"
