"""A quote is what the chain pays: the venue's instruction, inside a vault's trade, gives exactly the quoted amount."""

import base64
from typing import Any, cast

import pytest
from solders.compute_budget import set_compute_unit_limit
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from xorj_localnet.market.exact_json import Json
from xorj_localnet.market.tokens import BONK, JTO, USDC, WSOL, Token
from xorj_solana.programs import LOCAL_CPMM_PROGRAM, LOCAL_VAULT_PROGRAM
from xorj_solana.tokens import associated_token_address, parse_token_account
from xorj_solana.vault import (
    MintPlaces,
    TradeOrder,
    bot_trade,
    parse_vault,
    trade_authority_address,
    with_accounts_hash,
)

from tests.venue.conftest import VenueWorld

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def balance(world: VenueWorld, wallet: Pubkey, token: Token) -> int:
    (data,) = await world.chain.account_data([associated_token_address(wallet, Pubkey.from_string(token.mint))])
    assert data is not None
    return parse_token_account(data).amount


def instruction_of(body: dict[str, object]) -> Instruction:
    metas = [
        AccountMeta(Pubkey.from_string(meta["pubkey"]), is_signer=meta["isSigner"], is_writable=meta["isWritable"])
        for meta in cast("list[Any]", body["accounts"])
    ]
    program = Pubkey.from_string(cast("str", body["programId"]))
    return Instruction(program, base64.b64decode(cast("str", body["data"])), metas)


async def build(world: VenueWorld, vault: Pubkey, sold: Token, bought: Token, amount: int) -> dict[str, object]:
    taker = trade_authority_address(LOCAL_VAULT_PROGRAM, vault)
    destination = associated_token_address(taker, Pubkey.from_string(bought.mint))
    response = await world.venue.get(
        "/swap/v2/build",
        params={
            "inputMint": sold.mint,
            "outputMint": bought.mint,
            "amount": str(amount),
            "taker": str(taker),
            "slippageBps": "50",
            "destinationTokenAccount": str(destination),
        },
    )
    assert response.status_code == 200, response.text
    return cast("dict[str, object]", response.json())


async def trade(world: VenueWorld, vault: Pubkey, sold: Token, bought: Token, amount: int) -> tuple[int, int]:
    """Trades inside the vault as the venue says; returns the quoted output and what the vault got."""
    answer = await build(world, vault, sold, bought, amount)
    (data,) = await world.chain.account_data([vault])
    assert data is not None
    slot = cast("int", await world.chain.call("getSlot", {"commitment": "processed"}))
    order = TradeOrder(
        seq=parse_vault(data).trade_seq + 1,
        intent_id=bytes(range(32)),
        amount_in_max=amount,
        amount_out_min=int(cast("str", answer["otherAmountThreshold"])),
        expiry_slot=slot + 100,
    )
    instruction = bot_trade(
        LOCAL_VAULT_PROGRAM,
        vault=vault,
        bot_authority=world.bot.pubkey(),
        order=order,
        place_in=MintPlaces(Pubkey.from_string(sold.mint)),
        place_out=MintPlaces(Pubkey.from_string(bought.mint)),
        swap=instruction_of(cast("dict[str, object]", answer["swapInstruction"])),
    )
    blockhash = Hash.from_bytes(bytes(cast("dict[str, list[int]]", answer["blockhashWithMetadata"])["blockhash"]))
    message = MessageV0.try_compile(world.bot.pubkey(), [set_compute_unit_limit(400_000), instruction], [], blockhash)
    message = with_accounts_hash(message, LOCAL_VAULT_PROGRAM, {})
    raw = bytes(VersionedTransaction(message, [world.bot]))
    before = await balance(world, vault, bought)
    options: Json = {"encoding": "base64", "preflightCommitment": "processed"}
    await world.chain.call("sendTransaction", base64.b64encode(raw).decode(), options)
    return int(cast("str", answer["outAmount"])), await balance(world, vault, bought) - before


@pytest.mark.parametrize(
    ("name", "sold", "bought", "amount"),
    [
        ("conservative", USDC, WSOL, 123_456_789),
        ("moderate", WSOL, USDC, 987_654_321),
        ("aggressive", BONK, JTO, 1_234_567_891),
        ("aggressive", JTO, WSOL, 50_000_000_001),
    ],
)
async def test_the_vault_receives_exactly_what_was_quoted(
    world: VenueWorld, name: str, sold: Token, bought: Token, amount: int
) -> None:
    vault = next(opened.vault for opened in world.vaults if opened.plan.name == name)
    spent_before = await balance(world, vault, sold)
    quoted, received = await trade(world, vault, sold, bought, amount)
    assert received == quoted > 0
    assert spent_before - await balance(world, vault, sold) == amount


async def test_the_answer_has_the_documented_shape(world: VenueWorld) -> None:
    answer = await build(world, world.vaults[0].vault, USDC, WSOL, 10_000_000)
    out, least = int(cast("str", answer["outAmount"])), int(cast("str", answer["otherAmountThreshold"]))
    assert least == -(-out * 9950 // 10000)
    assert answer["inAmount"] == "10000000"
    assert answer["swapMode"] == "ExactIn"
    assert cast("dict[str, str]", answer["swapInstruction"])["programId"] == str(LOCAL_CPMM_PROGRAM)
    latest = cast("dict[str, object]", answer["blockhashWithMetadata"])
    assert len(cast("list[int]", latest["blockhash"])) == 32


async def test_moving_the_market_moves_price_and_pool_together(world: VenueWorld) -> None:
    vault = world.vaults[0].vault
    at_first = await build(world, vault, WSOL, USDC, 10**9)
    try:
        moved = await world.venue.post("/local/tick", json={"tick": 60})
        assert moved.json() == {"tick": 60}
        later = await build(world, vault, WSOL, USDC, 10**9)
        price = (await world.venue.get("/price/v3", params={"ids": WSOL.mint})).json()[WSOL.mint]["usdPrice"]
    finally:
        await world.venue.post("/local/tick", json={"tick": 0})
    assert price == 147.77496
    ratio = int(cast("str", later["outAmount"])) / int(cast("str", at_first["outAmount"]))
    assert 1.0019 < ratio < 1.0021
