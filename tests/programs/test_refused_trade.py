"""Every unlawful trade is refused with its own number, and no balance moves."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from xorj_solana import cpmm, vault
from xorj_solana.programs import LOCAL_CPMM_PROGRAM, SPL_TOKEN, SYSTEM
from xorj_solana.vault import VaultError

from tests.programs.svm_world import (
    PROGRAM,
    SLOT,
    TOKEN,
    Refused,
    World,
    account_of,
    labelled,
    new_keypair,
    open_owner_vault,
    trading_world,
)

AMOUNT = 100 * TOKEN


def send_refused(world: World, message: MessageV0, expected: VaultError, signers: list[Keypair] | None = None) -> None:
    balances, state = world.trade_balances(), world.vault_state()
    with pytest.raises(Refused) as refused:
        world.send_message(message, signers or [world.bot])
    assert refused.value.vault_error() is expected, refused.value
    assert world.trade_balances() == balances
    assert world.vault_state() == state


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({"seq": 0}, VaultError.WRONG_SEQUENCE, id="sequence already used"),
        pytest.param({"seq": 2}, VaultError.WRONG_SEQUENCE, id="sequence skipped"),
        pytest.param({"expiry_slot": SLOT - 1}, VaultError.EXPIRED, id="expired"),
        pytest.param({"expiry_slot": SLOT + 301}, VaultError.EXPIRY_TOO_FAR, id="expiry too far"),
        pytest.param({"amount_in_max": 0}, VaultError.ZERO_AMOUNT, id="nothing in"),
        pytest.param({"amount_out_min": 0}, VaultError.ZERO_AMOUNT, id="no minimum"),
        pytest.param({"amount_in_max": 5_000 * TOKEN + 1}, VaultError.INSUFFICIENT_FUNDS, id="more than held"),
    ],
)
def test_an_order_outside_its_bounds_is_refused(changed: dict[str, Any], expected: VaultError) -> None:
    world = trading_world()
    order = replace(world.order(AMOUNT, 1), **changed)
    send_refused(world, world.plan(order, world.swap(AMOUNT)), expected)


@pytest.mark.parametrize("ahead", [0, 300])
def test_the_edges_of_the_expiry_window_trade(ahead: int) -> None:
    world = trading_world()
    world.send_message(
        world.plan(replace(world.order(AMOUNT, 1), expiry_slot=SLOT + ahead), world.swap(AMOUNT)), [world.bot]
    )
    assert world.vault_state().trade_seq == 1


def test_one_base_unit_below_the_minimum_is_refused() -> None:
    world = trading_world()
    order = world.order(AMOUNT, world.quote(AMOUNT) + 1)
    send_refused(world, world.plan(order, world.swap(AMOUNT)), VaultError.TOO_LITTLE_OUT)


def test_dust_does_not_make_up_for_a_bad_price() -> None:
    world = trading_world()
    world.add_dust(account_of(world.trade_authority, world.place_out), world.place_out, 5 * 10**9)
    order = world.order(AMOUNT, world.quote(AMOUNT) + 1)
    send_refused(world, world.plan(order, world.swap(AMOUNT)), VaultError.TOO_LITTLE_OUT)


def test_a_swap_that_refuses_is_blamed_itself() -> None:
    world = trading_world()
    swap = world.swap(AMOUNT, world.quote(AMOUNT) + 1)
    balances = world.trade_balances()
    with pytest.raises(Refused) as refused:
        world.send_message(world.plan(world.order(AMOUNT, 1), swap), [world.bot])
    assert refused.value.failure == vault.ProgramFailure(LOCAL_CPMM_PROGRAM, 6005)
    assert refused.value.vault_error() is None
    assert world.trade_balances() == balances


def test_nothing_trades_while_paused_and_everything_after() -> None:
    world = trading_world()
    world.send([vault.set_paused(PROGRAM, authority=world.guardian.pubkey(), paused=True)], [world.guardian])
    send_refused(world, world.plan(world.order(AMOUNT, 1), world.swap(AMOUNT)), VaultError.PAUSED)
    world.send([vault.set_paused(PROGRAM, authority=world.admin.pubkey(), paused=False)], [world.admin])
    world.send_message(world.plan(world.order(AMOUNT, 1), world.swap(AMOUNT)), [world.bot])


@pytest.mark.parametrize("role", ["owner", "guardian", "admin"])
def test_a_disabled_vault_does_not_trade(role: str) -> None:
    world = trading_world()
    keeper: Keypair = getattr(world, role)
    stop = vault.disable_bot(PROGRAM, authority=keeper.pubkey(), vault=world.vault_address)
    world.send([stop], [keeper], name="disable_bot")
    send_refused(world, world.plan(world.order(AMOUNT, 1), world.swap(AMOUNT)), VaultError.BOT_DISABLED)


@pytest.mark.parametrize("role", ["owner", "admin", "guardian", "market_maker"])
def test_only_an_active_bot_authority_trades(role: str) -> None:
    world = trading_world()
    signer: Keypair = getattr(world, role)
    message = world.plan(world.order(AMOUNT, 1), world.swap(AMOUNT), signer=signer)
    send_refused(world, message, VaultError.WRONG_BOT_AUTHORITY, [signer])


def test_a_bot_authority_that_does_not_sign_is_refused() -> None:
    world = trading_world()
    trade = with_account(
        world.trade_instruction(world.order(AMOUNT, 1), world.swap(AMOUNT)),
        2,
        AccountMeta(world.bot.pubkey(), is_signer=False, is_writable=False),
    )
    stranger = world.market_maker
    send_refused(world, world.planned(trade, stranger), VaultError.WRONG_BOT_AUTHORITY, [stranger])


@pytest.mark.parametrize("program", [SPL_TOKEN, SYSTEM, PROGRAM], ids=["token", "system", "vault"])
def test_a_swap_program_that_is_not_configured_is_refused(program: Pubkey) -> None:
    world = trading_world()
    swap = Instruction(program, b"", world.swap(AMOUNT).accounts)
    send_refused(world, world.plan(world.order(AMOUNT, 1), swap), VaultError.SWAP_PROGRAM_NOT_ALLOWED)


def test_another_accounts_hash_is_refused() -> None:
    world = trading_world()
    trade = world.trade_instruction(world.order(AMOUNT, 1), world.swap(AMOUNT))
    # The hash of the instruction's own flags misses that the payer is writable.
    for digest in (bytes(32), vault.accounts_hash(trade.accounts)):
        data = trade.data[:72] + digest + trade.data[104:]
        message = MessageV0.try_compile(
            world.bot.pubkey(), [Instruction(PROGRAM, data, trade.accounts)], [], world.svm.latest_blockhash()
        )
        send_refused(world, message, VaultError.ACCOUNTS_HASH_MISMATCH)


def with_account(instruction: Instruction, index: int, meta: AccountMeta) -> Instruction:
    accounts = list(instruction.accounts)
    accounts[index] = meta
    return Instruction(instruction.program_id, instruction.data, accounts)


def writable(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=True)


def readonly(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=False)


def other_vault_world() -> tuple[World, World]:
    """The same chain seen by two owners, each with a vault."""
    world = trading_world()
    other = replace(world, owner=new_keypair(world.svm, "other owner"))
    open_owner_vault(other, 5_000 * TOKEN)
    return world, other


@pytest.mark.parametrize(
    ("index", "pick", "expected"),
    [
        pytest.param(1, lambda w: w.vault_address, VaultError.WRONG_TRADE_AUTHORITY, id="vault"),
        pytest.param(3, lambda w: w.trade_authority, VaultError.WRONG_TRADE_AUTHORITY, id="trade authority"),
        pytest.param(
            4, lambda w: account_of(w.vault_address, w.place_in), VaultError.WRONG_TOKEN_ACCOUNT, id="vault in"
        ),
        pytest.param(
            5, lambda w: account_of(w.vault_address, w.place_out), VaultError.WRONG_TOKEN_ACCOUNT, id="vault out"
        ),
        pytest.param(
            6, lambda w: account_of(w.trade_authority, w.place_in), VaultError.WRONG_TOKEN_ACCOUNT, id="trade in"
        ),
        pytest.param(
            7, lambda w: account_of(w.trade_authority, w.place_out), VaultError.WRONG_TOKEN_ACCOUNT, id="trade out"
        ),
    ],
)
def test_accounts_of_another_vault_are_refused(
    index: int, pick: Callable[[World], Pubkey], expected: VaultError
) -> None:
    world, other = other_vault_world()
    trade = world.trade_instruction(world.order(AMOUNT, 1), world.swap(AMOUNT))
    balances = other.trade_balances()
    send_refused(world, world.planned(with_account(trade, index, writable(pick(other))), world.bot), expected)
    assert other.trade_balances() == balances


def test_a_second_token_account_of_the_vault_is_no_place_for_proceeds() -> None:
    world = trading_world()
    hidden = Pubkey(labelled("hidden account"))
    world.set_token_account(hidden, world.place_out, world.vault_address, 0)
    trade = world.trade_instruction(world.order(AMOUNT, 1), world.swap(AMOUNT))
    send_refused(
        world, world.planned(with_account(trade, 5, writable(hidden)), world.bot), VaultError.WRONG_TOKEN_ACCOUNT
    )


def test_a_made_up_configuration_or_vault_is_refused() -> None:
    world = trading_world()
    trade = world.trade_instruction(world.order(AMOUNT, 1), world.swap(AMOUNT))
    config_copy, vault_copy = Pubkey(labelled("config copy")), Pubkey(labelled("vault copy"))
    for copy, original in ((config_copy, vault.config_address(PROGRAM)), (vault_copy, world.vault_address)):
        account = world.account(original)
        world.svm.set_account(copy, Account(account.lamports, account.data, LOCAL_CPMM_PROGRAM))
    for index, key, expected in (
        (0, config_copy, VaultError.WRONG_CONFIG),
        (0, world.vault_address, VaultError.WRONG_CONFIG),
        (1, vault_copy, VaultError.WRONG_VAULT),
        (1, vault.config_address(PROGRAM), VaultError.WRONG_VAULT),
    ):
        send_refused(world, world.planned(with_account(trade, index, writable(key)), world.bot), expected)


def test_selling_a_mint_for_itself_is_refused() -> None:
    world = trading_world()
    trade = vault.bot_trade(
        PROGRAM,
        vault=world.vault_address,
        bot_authority=world.bot.pubkey(),
        order=world.order(AMOUNT, 1),
        place_in=world.place_in,
        place_out=world.place_in,
        swap=world.swap(AMOUNT),
    )
    send_refused(world, world.planned(trade, world.bot), VaultError.WRONG_MINT)


def test_a_foreign_token_program_is_refused() -> None:
    world = trading_world()
    trade = world.trade_instruction(world.order(AMOUNT, 1), world.swap(AMOUNT))
    made_up = with_account(trade, 10, readonly(LOCAL_CPMM_PROGRAM))
    send_refused(world, world.planned(made_up, world.bot), VaultError.WRONG_TOKEN_PROGRAM)


@pytest.mark.parametrize("cut", [1, 32, 100])
def test_data_that_is_cut_short_is_refused(cut: int) -> None:
    world = trading_world()
    trade = world.trade_instruction(world.order(AMOUNT, 1), world.swap(AMOUNT))
    short = Instruction(PROGRAM, trade.data[:-cut], trade.accounts)
    message = MessageV0.try_compile(world.bot.pubkey(), [short], [], world.svm.latest_blockhash())
    send_refused(world, message, VaultError.MALFORMED_DATA)


def test_too_few_accounts_and_unknown_instructions_are_refused() -> None:
    world = trading_world()
    trade = world.trade_instruction(world.order(AMOUNT, 1), world.swap(AMOUNT))
    for instruction, expected in (
        (Instruction(PROGRAM, trade.data, trade.accounts[:12]), VaultError.WRONG_ACCOUNTS),
        (Instruction(PROGRAM, b"\xff" * 8, trade.accounts), VaultError.UNKNOWN_INSTRUCTION),
        (Instruction(PROGRAM, b"\x00", trade.accounts), VaultError.UNKNOWN_INSTRUCTION),
    ):
        message = MessageV0.try_compile(world.bot.pubkey(), [instruction], [], world.svm.latest_blockhash())
        send_refused(world, message, expected)


def test_a_client_never_builds_a_swap_with_a_foreign_signer() -> None:
    world = trading_world()
    swap = world.swap(AMOUNT)
    accounts = [*swap.accounts, AccountMeta(world.bot.pubkey(), is_signer=True, is_writable=True)]
    with pytest.raises(ValueError, match="signature"):
        world.trade_instruction(world.order(AMOUNT, 1), Instruction(swap.program_id, swap.data, accounts))


def test_the_swap_does_not_get_the_bots_signature() -> None:
    """The pool's payer is the bot here: the message carries its signature, the swap does not receive it."""
    world = trading_world()
    world.fund(world.bot.pubkey(), world.place_in, AMOUNT)
    world.fund(world.bot.pubkey(), world.place_out, 0)
    swap = cpmm.swap_base_input(
        world.pool,
        payer=world.bot.pubkey(),
        input_account=account_of(world.bot.pubkey(), world.place_in),
        output_account=account_of(world.bot.pubkey(), world.place_out),
        mint_in=world.place_in.mint,
        amount_in=AMOUNT,
        minimum_amount_out=0,
    )
    unsigned = Instruction(
        swap.program_id,
        swap.data,
        [AccountMeta(m.pubkey, is_signer=False, is_writable=m.is_writable) for m in swap.accounts],
    )
    balances = world.trade_balances()
    with pytest.raises(Refused, match="signer privilege escalated"):
        world.send_message(world.plan(world.order(AMOUNT, 1), unsigned), [world.bot])
    assert world.trade_balances() == balances
