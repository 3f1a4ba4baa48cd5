"""Accounts on the local cluster: encodings, filters, tokens, genesis programs, and the slot a read answers for."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path

import base58
import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from xorj_localnet.chain.faults import Json
from xorj_localnet.chain.genesis import GenesisError, read_genesis
from xorj_localnet.chain.node import Node
from xorj_localnet.chain.slots import Commitment as SlotCommitment
from xorj_localnet.chain.slots import Depths
from xorj_solana.rpc import Commitment, RpcRejected

from .conftest import SOL, Cluster

TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")


def mint_data(supply: int, decimals: int) -> bytes:
    return bytes(36) + supply.to_bytes(8, "little") + bytes([decimals, 1]) + bytes(36)


def token_data(mint: Pubkey, owner: Pubkey, amount: int) -> bytes:
    return bytes(mint) + bytes(owner) + amount.to_bytes(8, "little") + bytes(36) + b"\x01" + bytes(56)


async def put(cluster: Cluster, key: Pubkey, owner: Pubkey, data: bytes) -> None:
    entry: Json = {
        "lamports": SOL,
        "owner": str(owner),
        "data_base64": base64.b64encode(data).decode(),
        "executable": False,
    }
    assert "result" in await cluster.call("local_setAccount", str(key), entry)


async def test_a_token_transfer_shows_balances_before_and_after(cluster: Cluster) -> None:
    mint, source, target = (Pubkey.new_unique() for _ in range(3))
    payer = cluster.payer.pubkey()
    await put(cluster, mint, TOKEN_PROGRAM, mint_data(1_000, 6))
    await put(cluster, source, TOKEN_PROGRAM, token_data(mint, payer, 1_000))
    await put(cluster, target, TOKEN_PROGRAM, token_data(mint, Pubkey.new_unique(), 0))
    move = Instruction(
        TOKEN_PROGRAM,
        b"\x03" + (250).to_bytes(8, "little"),
        [
            AccountMeta(source, is_signer=False, is_writable=True),
            AccountMeta(target, is_signer=False, is_writable=True),
            AccountMeta(payer, is_signer=True, is_writable=False),
        ],
    )
    signature = await cluster.send(move)
    await cluster.warp(2)
    found = await cluster.client.get_transaction(signature)
    assert found is not None
    assert found.err is None
    assert sorted(row.amount_base_units for row in found.pre_token_balances) == [0, 1_000]
    assert sorted(row.amount_base_units for row in found.post_token_balances) == [250, 750]
    assert {row.decimals for row in found.post_token_balances} == {6}
    held = await cluster.client.get_token_accounts_by_owner(payer, TOKEN_PROGRAM, Commitment.CONFIRMED)
    assert [key for key, _ in held.accounts] == [source]
    balance = await cluster.call("getTokenAccountBalance", str(source), {"commitment": "processed"})
    assert isinstance(balance["result"], dict)
    assert balance["result"]["value"] == {
        "amount": "750",
        "decimals": 6,
        "uiAmount": 0.00075,
        "uiAmountString": "0.00075",
    }


async def test_program_accounts_are_filtered_and_belong_to_the_commitment(cluster: Cluster) -> None:
    program, old, new, other = (Pubkey.new_unique() for _ in range(4))
    await put(cluster, old, program, b"vault" + bytes(3))
    await put(cluster, other, program, b"other" + bytes(3))
    await cluster.warp(2)
    await put(cluster, new, program, b"vault" + bytes(3))

    async def listed(commitment: str) -> set[Json]:
        memcmp: Json = {"memcmp": {"offset": 0, "bytes": base58.b58encode(b"vault").decode()}}
        config: Json = {"encoding": "base64", "commitment": commitment, "filters": [{"dataSize": 8}, memcmp]}
        rows = (await cluster.call("getProgramAccounts", str(program), config))["result"]
        assert isinstance(rows, list)
        return {row["pubkey"] for row in rows if isinstance(row, dict)}

    assert await listed("processed") == {str(old), str(new)}
    assert await listed("confirmed") == {str(old)}
    assert await listed("finalized") == set()


async def test_the_slot_of_an_answer_reaches_the_one_asked_for_or_it_is_refused(cluster: Cluster) -> None:
    key, slot = Pubkey.new_unique(), await cluster.client.get_slot(Commitment.PROCESSED)
    with pytest.raises(RpcRejected) as refused:
        await cluster.client.get_multiple_accounts([key], Commitment.CONFIRMED, min_context_slot=slot)
    assert refused.value.code == -32016
    await cluster.warp(2)
    found = await cluster.client.get_multiple_accounts([key], Commitment.CONFIRMED, min_context_slot=slot)
    assert (found.slot, found.accounts) == (slot, (None,))


@pytest.mark.parametrize("size", [0, 1, 128, 129, 131_072, 300_000])
async def test_account_data_survives_each_encoding(cluster: Cluster, size: int) -> None:
    key, data = Pubkey.new_unique(), secrets.token_bytes(size)
    cluster.node.bank.put_account(key, Account(SOL * 100, data, Pubkey.new_unique()))
    for encoding in ("base64", "base64+zstd", "jsonParsed", "base58", None):
        config: dict[str, Json] = {"commitment": "processed"}
        if encoding is not None:
            config["encoding"] = encoding
        answer = await cluster.call("getAccountInfo", str(key), config)
        if encoding in ("base58", None) and size > 128:
            assert isinstance(answer["error"], dict)
            assert answer["error"]["code"] == -32600
            continue
        assert isinstance(answer["result"], dict)
        value = answer["result"]["value"]
        assert isinstance(value, dict)
        shown = value["data"]
        text = shown if isinstance(shown, str) else shown[0] if isinstance(shown, list) else None
        assert isinstance(text, str)
        if encoding == "base64+zstd":
            assert unframe(base64.b64decode(text)) == data
        elif encoding in ("base58", None):
            assert base58.b58decode(text) == data
        else:
            assert base64.b64decode(text) == data


def unframe(frame: bytes) -> bytes:
    """Content of a zstd frame of raw blocks."""
    assert frame[:6] == b"\x28\xb5\x2f\xfd\x00\x58"
    found, at = b"", 6
    while True:
        header = int.from_bytes(frame[at : at + 3], "little")
        assert (header >> 1) & 3 == 0
        size = header >> 3
        assert size <= 128 * 1024
        found += frame[at + 3 : at + 3 + size]
        at += 3 + size
        if header & 1:
            assert at == len(frame)
            return found


def test_a_genesis_program_is_upgradeable_by_its_authority(tmp_path: Path, built_programs: Path) -> None:
    program, authority, account = Pubkey.new_unique(), Keypair().pubkey(), Pubkey.new_unique()
    entry = {
        "program_id": str(program),
        "so_path": str(built_programs / "cpmm.so"),
        "upgrade_authority": str(authority),
    }
    funded = {"pubkey": str(account), "lamports": SOL, "owner": str(TOKEN_PROGRAM), "data_base64": "AAAA"}
    path = tmp_path / "genesis.json"
    path.write_text(json.dumps({"programs": [entry], "accounts": [funded]}))
    bank = Node(read_genesis(path), bytes(32), Depths(2, 32)).bank
    code = bank.account_at(program, bank.clock.at(SlotCommitment.FINALIZED))
    assert code is not None
    assert code.executable
    programdata = bank.account_at(
        Pubkey.find_program_address([bytes(program)], LOADER)[0], bank.clock.at(SlotCommitment.FINALIZED)
    )
    assert programdata is not None
    assert bytes(programdata.data)[12:45] == b"\x01" + bytes(authority)
    assert bytes(programdata.data)[45:] == (built_programs / "cpmm.so").read_bytes()
    found = bank.account_at(account, bank.clock.at(SlotCommitment.FINALIZED))
    assert found is not None
    assert (found.lamports, bytes(found.data)) == (SOL, bytes(3))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"program": []}',
        '{"programs": {}}',
        '{"accounts": [1]}',
        '{"accounts": [{"pubkey": "x", "lamports": 1, "owner": "x"}]}',
        '{"accounts": [{"pubkey": "11111111111111111111111111111111", "lamports": -1}]}',
        '{"programs": [{"program_id": "11111111111111111111111111111111", "so_path": "absent.so"}]}',
    ],
)
def test_a_wrong_genesis_file_is_refused_with_a_reason(tmp_path: Path, text: str) -> None:
    path = tmp_path / "genesis.json"
    path.write_text(text)
    with pytest.raises(GenesisError):
        read_genesis(path)
