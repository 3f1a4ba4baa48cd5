"""The RPC client against recorded answers and against an endpoint that answers anything."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from solders.pubkey import Pubkey
from solders.signature import Signature
from xorj_solana.rpc import (
    Commitment,
    RpcClient,
    RpcError,
    RpcMalformed,
    RpcPool,
    RpcRejected,
    RpcUnreachable,
    TransactionErrorKind,
    parse,
    parse_transaction_error,
)

SIGNATURES = [Signature.default(), Signature.new_unique()]

READ: dict[str, Callable[[object], object]] = {
    "get_slot.json": lambda result: parse.unsigned(result, "slot"),
    "get_lablockhash.json": parse.latest_blockhash,
    "get_genesis_hash.json": lambda result: parse.blockhash(result, "hash"),
    "get_recent_performance_samples.json": parse.performance_samples,
    "get_multiple_accounts_base64.json": lambda result: parse.accounts_at(result, 2),
    "get_token_accounts_by_owner_base64.json": parse.keyed_accounts_at,
    "get_minimum_balance_for_tent_exemption.json": lambda result: parse.unsigned(result, "lamports"),
    "send_transaction.json": lambda result: parse.signature(result, "signature"),
    "request_airdrop.json": lambda result: parse.signature(result, "signature"),
    "simulate_transaction.json": lambda result: parse.simulation(result, 0),
    "get_signature_statuses.json": lambda result: parse.statuses_at(result, SIGNATURES),
    "../data/get_transaction_base64_encoding.json": parse.transaction_at,
    "get_recent_prioritization_fees.json": parse.prioritization_fees,
}
NOT_AS_ASKED: dict[str, Callable[[object], object]] = {
    "get_multiple_accounts_base58.json": lambda result: parse.accounts_at(result, 2),
    "get_multiple_accounts_json_parsed.json": lambda result: parse.accounts_at(result, 1),
    "get_multiple_accounts_maybe_json.json": lambda result: parse.accounts_at(result, 2),
    "get_token_accounts_by_owner_json_parsed.json": parse.keyed_accounts_at,
    "../data/get_transaction_json_encoding.json": parse.transaction_at,
    "../data/get_transaction_json_parsed_encoding.json": parse.transaction_at,
}
FAULTS = {
    "get_account_info_error.json": (-32602, None),
    "get_health_resp_unhealthy_generic.json": (-32005, None),
    "get_health_additional_info.json": (-32005, None),
    "parse_instruction_error.json": (-32002, TransactionErrorKind.INSTRUCTION_ERROR),
    "parse_preflight_error_raw_full.json": (-32002, TransactionErrorKind.INSTRUCTION_ERROR),
    "parse_transaction_error_raw_full.json": (-32002, TransactionErrorKind.ACCOUNT_NOT_FOUND),
    "parse_ws_message.json": (-32602, None),
    "../../errors/sendTransaction_jupiter_slippage_6001.json": (-32002, TransactionErrorKind.INSTRUCTION_ERROR),
}


@pytest.fixture
def corpus() -> Path:
    recorded = os.environ.get("XORJ_RECORDED_DATA")
    if not recorded:
        pytest.skip("XORJ_RECORDED_DATA names no directory of recorded data")
    return Path(recorded) / "solana_rpc" / "responses_corpus" / "responses"


@pytest.mark.parametrize("name", READ)
def test_a_recorded_answer_is_read(corpus: Path, name: str) -> None:
    assert READ[name](parse.response(parse.decode((corpus / name).read_bytes()), None)) is not None


@pytest.mark.parametrize("name", NOT_AS_ASKED)
def test_a_recorded_answer_in_another_encoding_is_malformed(corpus: Path, name: str) -> None:
    result = parse.response(parse.decode((corpus / name).read_bytes()), None)
    with pytest.raises(parse.Malformed):
        NOT_AS_ASKED[name](result)


@pytest.mark.parametrize("name", FAULTS)
def test_a_recorded_refusal_keeps_its_code_and_reason(corpus: Path, name: str) -> None:
    found = parse.response(parse.decode((corpus / name).read_bytes()), None)
    assert isinstance(found, parse.Fault)
    code, kind = FAULTS[name]
    assert found.code == code
    assert (None if found.err is None else found.err.kind) is kind
    if "6001" in name:
        assert found.err is not None
        assert (found.err.instruction_index, found.err.custom_code) == (3, 6001)
        assert len(found.logs) > 20


RUBBISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["context", "slot", "value", "err", "lamports", "data", "owner", "InstructionError", "meta"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


KEY, HASH, SIG = "1" * 32, "1" * 32, "1" * 64
GOOD_ACCOUNT: dict[str, object] = {"lamports": 1, "owner": KEY, "data": ["AA==", "base64"], "executable": False}
GOOD_META: dict[str, object] = {
    "err": {"InstructionError": [0, {"Custom": 1}]},
    "fee": 5_000,
    "logMessages": ["Program log: x"],
    "preTokenBalances": [
        {"accountIndex": 1, "mint": KEY, "owner": KEY, "uiTokenAmount": {"amount": "7", "decimals": 6}}
    ],
}
GOOD: dict[str, object] = {
    "get_slot.json": 5,
    "get_lablockhash.json": {"context": {"slot": 1}, "value": {"blockhash": HASH, "lastValidBlockHeight": 9}},
    "get_genesis_hash.json": HASH,
    "get_multiple_accounts_base64.json": {"context": {"slot": 1}, "value": [GOOD_ACCOUNT, None]},
    "get_token_accounts_by_owner_base64.json": {
        "context": {"slot": 1},
        "value": [{"pubkey": KEY, "account": GOOD_ACCOUNT}],
    },
    "send_transaction.json": SIG,
    "simulate_transaction.json": {"context": {"slot": 1}, "value": {"err": None, "logs": ["x"], "unitsConsumed": 1}},
    "get_signature_statuses.json": {
        "context": {"slot": 1},
        "value": [{"slot": 1, "confirmations": 1, "err": None, "confirmationStatus": "confirmed"}, None],
    },
    "../data/get_transaction_base64_encoding.json": {
        "slot": 1,
        "blockTime": 1,
        "transaction": ["AA==", "base64"],
        "meta": GOOD_META,
    },
    "get_recent_prioritization_fees.json": [{"slot": 1, "prioritizationFee": 0}],
}


def broken(value: object, data: st.DataObject) -> object:
    """``value`` with one place inside it replaced by rubbish, or gone."""
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(value)))
        rest = {key: item for key, item in value.items() if key != name}
        return rest if data.draw(st.booleans()) else {**rest, name: broken(value[name], data)}
    if isinstance(value, list) and value and data.draw(st.booleans()):
        index = data.draw(st.integers(0, len(value) - 1))
        return [*value[:index], broken(value[index], data), *value[index + 1 :]]
    return data.draw(RUBBISH | st.text(alphabet="1zé0", max_size=90))


@pytest.mark.parametrize("name", GOOD)
@given(st.data())
def test_a_good_answer_with_one_broken_place_is_malformed_or_read(name: str, data: st.DataObject) -> None:
    assert READ[name](GOOD[name]) is not None
    with contextlib.suppress(parse.Malformed):
        READ[name](broken(GOOD[name], data))


@given(RUBBISH)
@example("x")
def test_rubbish_is_malformed_or_read_but_nothing_else(value: object) -> None:
    for read in READ.values():
        with contextlib.suppress(parse.Malformed):
            read(value)
    with contextlib.suppress(parse.Malformed):
        parse.response(value, 1)
    parse_transaction_error(value)


@pytest.mark.parametrize(
    "value", ["NewlyInvented", {"InstructionError": [0]}, {"InstructionError": [True, "X"]}, 7, {}]
)
def test_an_unknown_error_is_still_an_error(value: object) -> None:
    assert parse_transaction_error(value).kind is TransactionErrorKind.UNRECOGNISED


# -- an endpoint that answers anything ---------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def endpoint(answer: bytes, *, hang: bool = False) -> AsyncIterator[str]:
    """A socket that reads one request and writes ``answer`` as it is."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        if hang:
            await reader.read()
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/secret-key"


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def ok(result: object) -> bytes:
    return http(json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode())


def refused(code: int) -> bytes:
    return http(json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "no"}}).encode())


BOMB = gzip.compress(b" " * 200_000)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", RpcUnreachable),
        (b"\x00rubbish\r\n\r\n", RpcUnreachable),
        (http(b"", "500 Internal Server Error"), RpcUnreachable),
        (http(b"", "503 Service Unavailable"), RpcUnreachable),
        (http(b"slow down", "429 Too Many Requests"), RpcUnreachable),
        (http(b"", "301 Moved", "location: http://127.0.0.1:1/"), RpcMalformed),
        (http(b"", "404 Not Found"), RpcMalformed),
        (http(b"<html>"), RpcMalformed),
        (http(b"NaN"), RpcMalformed),
        (http(b"[" * 50_000), RpcMalformed),
        (http(b" " * 70_000), RpcMalformed),
        (http(BOMB, "200 OK", "content-encoding: gzip"), RpcMalformed),
        (http(b"not gzip", "200 OK", "content-encoding: gzip"), RpcMalformed),
        (http(b'{"jsonrpc":"2.0","id":2,"result":5}'), RpcMalformed),
        (http(b'{"jsonrpc":"2.0","id":1}'), RpcMalformed),
        (ok(-1), RpcMalformed),
        (ok(1.0), RpcMalformed),
        (ok(result=True), RpcMalformed),
        (ok("5"), RpcMalformed),
        (ok(1 << 64), RpcMalformed),
        (refused(-32005), RpcUnreachable),
        (refused(-32602), RpcRejected),
    ],
)
async def test_each_bad_answer_has_its_own_error(answer: bytes, expected: type[RpcError]) -> None:
    async with endpoint(answer) as url, RpcClient(url, timeout_s=10, body_bytes_max=65_536) as client:
        with pytest.raises(expected) as raised:
            await client.get_slot(Commitment.CONFIRMED)
        assert type(raised.value) is expected
        assert "secret-key" not in str(raised.value)


async def test_an_endpoint_that_says_nothing_is_unreachable_after_the_timeout() -> None:
    async with endpoint(b"", hang=True) as url, RpcClient(url, timeout_s=0.2) as client:
        with pytest.raises(RpcUnreachable):
            await client.get_slot(Commitment.CONFIRMED)


async def test_an_answer_older_than_asked_for_is_malformed() -> None:
    async with endpoint(ok({"context": {"slot": 9}, "value": [None]})) as url, RpcClient(url) as client:
        with pytest.raises(RpcMalformed):
            await client.get_multiple_accounts([Pubkey.default()], Commitment.CONFIRMED, min_context_slot=10)


async def test_statuses_and_accounts_of_another_number_are_malformed() -> None:
    short = ok({"context": {"slot": 9}, "value": [None]})
    async with endpoint(short) as url, RpcClient(url) as client:
        with pytest.raises(RpcMalformed):
            await client.get_signature_statuses(SIGNATURES, search_history=True)
    async with endpoint(short) as url, RpcClient(url) as client:
        with pytest.raises(RpcMalformed):
            await client.get_multiple_accounts([Pubkey.default()] * 2, Commitment.CONFIRMED)


async def test_a_pool_reads_from_the_first_that_answers_and_sends_to_all() -> None:
    signature = Signature.new_unique()
    async with (
        endpoint(http(b"", "500 Oops")) as broken,
        endpoint(ok(5)) as good,
        RpcClient(broken) as first,
        RpcClient(good) as second,
    ):
        assert await RpcPool([first, second]).read_first_ok(lambda one: one.get_slot(Commitment.CONFIRMED)) == 5
        with pytest.raises(RpcUnreachable):
            await RpcPool([first]).read_first_ok(lambda one: one.get_slot(Commitment.CONFIRMED))
    async with (
        endpoint(http(b"", "500 Oops")) as broken,
        endpoint(ok(str(signature))) as good,
        RpcClient(broken) as first,
        RpcClient(good) as second,
    ):
        handed = await RpcPool([first, second]).send_everywhere(b"raw")
        assert [one.taken for one in handed] == [False, True]
        assert isinstance(handed[0].answer, RpcUnreachable)
        assert handed[1].answer == signature
