"""A transaction on the local cluster: it settles by depth, runs at most once, and expires by block height."""

from __future__ import annotations

import base64

import pytest
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed, Finalized, Processed
from solana.rpc.models import TxOpts
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from xorj_solana.rpc import Commitment, RpcRejected, Status, TransactionErrorKind

from .conftest import SOL, Cluster


async def status(cluster: Cluster, signature: Signature) -> Status | None:
    return (await cluster.client.get_signature_statuses([signature], search_history=True)).statuses[signature]


async def test_a_transfer_is_processed_then_confirmed_then_finalized(cluster: Cluster) -> None:
    to = Pubkey.new_unique()
    signature = await cluster.send(cluster.pay(to, SOL))
    seen = []
    for slots in (0, 1, 1, 29, 1):
        await cluster.warp(slots)
        found = await status(cluster, signature)
        assert found is not None
        assert found.err is None
        seen.append(found.commitment.value)
    assert seen == ["processed", "processed", "confirmed", "confirmed", "finalized"]


async def test_a_read_gives_the_state_its_commitment_has_reached(cluster: Cluster) -> None:
    to = Pubkey.new_unique()
    await cluster.send(cluster.pay(to, SOL))
    await cluster.warp(1)
    await cluster.send(cluster.pay(to, SOL))

    async def balances() -> list[int]:
        return [await cluster.balance(to, commitment) for commitment in Commitment]

    assert await balances() == [2 * SOL, 0, 0]
    await cluster.warp(1)
    assert await balances() == [2 * SOL, SOL, 0]
    await cluster.warp(1)
    assert await balances() == [2 * SOL, 2 * SOL, 0]
    await cluster.warp(29)
    assert await balances() == [2 * SOL, 2 * SOL, SOL]
    await cluster.warp(1)
    assert await balances() == [2 * SOL, 2 * SOL, 2 * SOL]


async def test_identical_bytes_run_once_however_often_they_are_sent(cluster: Cluster) -> None:
    to = Pubkey.new_unique()
    raw = bytes(await cluster.transaction(cluster.pay(to, SOL)))
    first = await cluster.client.send_transaction(raw)
    for slots in (0, 3, 100):
        await cluster.warp(slots)
        assert await cluster.client.send_transaction(raw) == first
    assert await cluster.balance(to, Commitment.PROCESSED) == SOL
    with pytest.raises(RpcRejected) as refused:
        await cluster.client.send_transaction(raw, skip_preflight=False)
    assert refused.value.code == -32002
    assert refused.value.err is not None
    assert refused.value.err.kind is TransactionErrorKind.ALREADY_PROCESSED


@pytest.mark.parametrize(("slots", "lands"), [(150, True), (151, False)])
async def test_a_blockhash_is_usable_for_exactly_150_blocks(cluster: Cluster, slots: int, lands: bool) -> None:
    latest = await cluster.client.get_latest_blockhash(Commitment.PROCESSED)
    transaction = await cluster.transaction(cluster.pay(Pubkey.new_unique(), SOL), blockhash=latest.blockhash)
    await cluster.warp(slots)
    height = await cluster.client.get_block_height(Commitment.PROCESSED)
    assert (height <= latest.last_valid_block_height) is lands
    signature = await cluster.client.send_transaction(bytes(transaction))
    assert (await status(cluster, signature) is not None) is lands
    simulated = await cluster.client.simulate_transaction(bytes(transaction), commitment=Commitment.PROCESSED)
    assert simulated.err is not None
    expected = TransactionErrorKind.ALREADY_PROCESSED if lands else TransactionErrorKind.BLOCKHASH_NOT_FOUND
    assert simulated.err.kind is expected


async def test_a_blockhash_newer_than_the_preflight_bank_is_not_found_there(cluster: Cluster) -> None:
    transaction = await cluster.transaction(cluster.pay(Pubkey.new_unique(), SOL))
    with pytest.raises(RpcRejected, match="Blockhash not found"):
        await cluster.client.send_transaction(bytes(transaction), skip_preflight=False)
    await cluster.warp(2)
    await cluster.client.send_transaction(bytes(transaction), skip_preflight=False)


async def test_a_failed_transaction_is_charged_and_its_error_kept(cluster: Cluster) -> None:
    before = await cluster.balance(cluster.payer.pubkey(), Commitment.PROCESSED)
    signature = await cluster.send(cluster.pay(Pubkey.new_unique(), 10**6 * SOL))
    found = await status(cluster, signature)
    assert found is not None
    assert found.err is not None
    assert (found.err.kind, found.err.instruction_index, found.err.custom_code) == (
        TransactionErrorKind.INSTRUCTION_ERROR,
        0,
        1,
    )
    assert await cluster.balance(cluster.payer.pubkey(), Commitment.PROCESSED) == before - 5_000


async def test_a_transaction_nobody_pays_for_leaves_no_trace(cluster: Cluster) -> None:
    stranger = Keypair()
    poor = Cluster(cluster.node, cluster.port, cluster.client, cluster.http, stranger)
    signature = await poor.send(poor.pay(Pubkey.new_unique(), SOL))
    assert await status(cluster, signature) is None
    await cluster.warp(40)
    assert await cluster.client.get_transaction(signature) is None


async def test_a_forged_signature_is_refused_by_preflight_and_never_lands(cluster: Cluster) -> None:
    good = await cluster.transaction(cluster.pay(Pubkey.new_unique(), SOL))
    forged = VersionedTransaction.populate(good.message, [Keypair().sign_message(b"something else")])
    with pytest.raises(RpcRejected) as refused:
        await cluster.client.send_transaction(bytes(forged), skip_preflight=False)
    assert refused.value.code == -32003
    signature = await cluster.client.send_transaction(bytes(forged))
    assert await status(cluster, signature) is None


async def test_preflight_refuses_in_the_shape_a_node_uses(cluster: Cluster) -> None:
    blockhash = await cluster.blockhash(Commitment.CONFIRMED)
    transaction = await cluster.transaction(cluster.pay(Pubkey.new_unique(), 10**6 * SOL), blockhash=blockhash)
    text = base64.b64encode(bytes(transaction)).decode()
    answer = await cluster.call("sendTransaction", text, {"encoding": "base64", "preflightCommitment": "confirmed"})
    error = answer["error"]
    assert isinstance(error, dict)
    assert error["code"] == -32002
    assert error["message"] == (
        "Transaction simulation failed: Error processing Instruction 0: custom program error: 0x1"
    )
    data = error["data"]
    assert isinstance(data, dict)
    assert {"accounts", "err", "logs", "unitsConsumed"} <= set(data)
    assert data["err"] == {"InstructionError": [0, {"Custom": 1}]}


async def test_a_simulation_shows_accounts_afterwards_and_changes_nothing(cluster: Cluster) -> None:
    to = Pubkey.new_unique()
    transaction = await cluster.transaction(cluster.pay(to, SOL))
    await cluster.warp(400)
    simulated = await cluster.client.simulate_transaction(
        bytes(transaction), replace_recent_blockhash=True, accounts=[to]
    )
    assert simulated.err is None
    assert simulated.units_consumed > 0
    assert simulated.accounts[0] is not None
    assert simulated.accounts[0].lamports == SOL
    assert await cluster.balance(to, Commitment.PROCESSED) == 0


async def test_the_transaction_can_be_read_once_confirmed(cluster: Cluster) -> None:
    transaction = await cluster.transaction(cluster.pay(Pubkey.new_unique(), SOL))
    signature = await cluster.client.send_transaction(bytes(transaction))
    assert await cluster.client.get_transaction(signature) is None
    await cluster.warp(2)
    found = await cluster.client.get_transaction(signature)
    assert found is not None
    assert (found.raw, found.err, found.fee_lamports) == (bytes(transaction), None, 5_000)
    refused = await cluster.call("getTransaction", str(signature), {"commitment": "confirmed"})
    assert isinstance(refused["error"], dict)
    assert refused["error"]["code"] == -32015


async def test_the_public_client_works_unmodified(cluster: Cluster) -> None:
    to = Pubkey.new_unique()
    async with AsyncClient(cluster.url, commitment=Processed) as public:
        assert await public.is_connected()
        latest = (await public.get_latest_blockhash()).value
        transaction = await cluster.transaction(cluster.pay(to, SOL), blockhash=latest.blockhash)
        options = TxOpts(preflight_commitment=Processed, skip_confirmation=True)
        signature = (await public.send_transaction(transaction, options)).value
        await cluster.warp(40)
        confirmed = await public.confirm_transaction(
            signature, Finalized, sleep_seconds=0.01, last_valid_block_height=latest.last_valid_block_height
        )
        assert confirmed.value[0] is not None
        assert (await public.get_balance(to, Finalized)).value == SOL
        read = await public.get_transaction(signature, max_supported_transaction_version=0, commitment=Confirmed)
        assert read.value is not None
        assert read.value.slot == confirmed.value[0].slot
        listed = (await public.get_signatures_for_address(to, commitment=Confirmed)).value
        assert [row.signature for row in listed] == [signature]
        assert (await public.get_epoch_info()).value.absolute_slot > 0
        assert (await public.get_minimum_balance_for_rent_exemption(165)).value == 2_039_280
        assert (await public.get_fee_for_message(transaction.message)).value == 5_000  # type: ignore[arg-type]
        await public.get_recent_prioritization_fees()
        await public.get_recent_performance_samples()
