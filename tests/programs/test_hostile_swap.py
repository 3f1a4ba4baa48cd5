"""A configured swap program that turned hostile holds the trade authority's signature, and gains nothing by it.

Every case but those of the last part is an honest exchange with one evil act added, so that the act alone is why the
trade is refused. Written down with their refusals in tests/programs/README.md.
"""

import struct
from collections.abc import Callable, Iterator

import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM
from solders.system_program import AllocateParams, AssignParams, TransferParams, allocate, assign, transfer
from xorj_solana import vault
from xorj_solana.programs import SPL_TOKEN
from xorj_solana.vault import ProgramFailure, VaultError

from tests.programs import rogue
from tests.programs.rogue import RESERVE, ROGUE, THIEF, Script, exchange
from tests.programs.svm_world import PROGRAM, TOKEN, Refused, World, account_of, labelled, trading_world
from tests.programs.untouched import Expected, assert_reason, attack, attack_with

AMOUNT, PRICE = 100 * TOKEN, 10**9
OWNER_MISMATCH, INSUFFICIENT, FROZEN = (ProgramFailure(SPL_TOKEN, code) for code in (4, 1, 17))
ESCALATED = "signer privilege escalated"
REENTRANT = "ReentrancyNotAllowed"


def hostile_world() -> World:
    world = trading_world()
    rogue.set_up(world)
    world.allow(ROGUE)
    return world


@pytest.fixture(scope="module")
def shared() -> World:
    """One world for all that is refused: the shared assertion shows that none of it left a trace."""
    return hostile_world()


@pytest.fixture(autouse=True, scope="module")
def _still_trades(shared: World) -> Iterator[None]:
    """After all of it an honest trade succeeds, so nothing was refused for a reason that always holds."""
    yield
    trade(shared, exchange(shared, AMOUNT, PRICE))


def hand(world: World, side: str) -> Pubkey:
    return account_of(world.trade_authority, getattr(world, side))


def held(world: World, side: str) -> Pubkey:
    return account_of(world.vault_address, getattr(world, side))


def swap_of(world: World, script: Script) -> Instruction:
    script.signers.add(world.trade_authority)
    return script.build()


def trade(world: World, script: Script, amount_out_min: int = PRICE) -> None:
    world.send_message(world.plan(world.order(AMOUNT, amount_out_min), swap_of(world, script)), [world.bot])


def refuse(world: World, script: Script, expected: Expected, amount_out_min: int = PRICE) -> Refused:
    order = world.order(AMOUNT, amount_out_min)
    return attack(world, world.plan(order, swap_of(world, script)), [world.bot], expected)


# Amounts.


@pytest.mark.parametrize("given", [PRICE - 1, 1, 0])
def test_paying_too_little(shared: World, given: int) -> None:
    refuse(shared, exchange(shared, AMOUNT, given), VaultError.TOO_LITTLE_OUT)


def test_taking_more_than_was_lent(shared: World) -> None:
    refuse(shared, exchange(shared, AMOUNT + 1, PRICE), INSUFFICIENT)


def test_taking_dust_beside_what_was_lent() -> None:
    world = hostile_world()
    world.add_dust(hand(world, "place_in"), world.place_in, 1)
    # The dust went home before anything was lent.
    refuse(world, exchange(world, AMOUNT + 1, PRICE), ProgramFailure(SPL_TOKEN, 1))


def test_paying_with_dust_that_was_there() -> None:
    world = hostile_world()
    world.add_dust(hand(world, "place_out"), world.place_out, PRICE)
    refuse(world, exchange(world, AMOUNT, PRICE - 1), VaultError.TOO_LITTLE_OUT)


def test_taking_dust_out_of_the_other_hand() -> None:
    world = hostile_world()
    world.add_dust(hand(world, "place_out"), world.place_out, 5)
    script = exchange(world, AMOUNT, PRICE)
    loot = account_of(THIEF, world.place_out)
    script.transfer(hand(world, "place_out"), loot, 5, authority=world.trade_authority)
    refuse(world, script, VaultError.TOO_LITTLE_OUT)


def test_paying_into_the_vault_directly_is_payment_too() -> None:
    world = hostile_world()
    script = exchange(world, AMOUNT, 0)
    source = account_of(RESERVE, world.place_out)
    script.transfer(source, held(world, "place_out"), PRICE, authority=RESERVE)
    trade(world, script)
    assert world.holding(world.vault_address, world.place_out) == PRICE


def test_burning_what_was_lent(shared: World) -> None:
    script = Script()
    script.token(
        struct.pack("<BQ", 8, AMOUNT), hand(shared, "place_in"), shared.place_in.mint, authority=shared.trade_authority
    )
    refuse(shared, script, VaultError.TOO_LITTLE_OUT)


def test_stranding_a_part_brings_it_home() -> None:
    world = hostile_world()
    before = world.holding(world.vault_address, world.place_in)
    trade(world, exchange(world, AMOUNT // 3, PRICE))
    last = world.vault_state().last_trade
    assert last is not None
    assert (last.amount_in, last.amount_out) == (AMOUNT // 3, PRICE)
    assert world.holding(world.vault_address, world.place_in) == before - AMOUNT // 3
    assert world.holding(world.trade_authority, world.place_in) == 0


# Authority over the four token accounts.


@pytest.mark.parametrize("side", ["place_in", "place_out"])
@pytest.mark.parametrize("amount", [0, 1, 2**64 - 1])
def test_leaving_a_delegate_behind(shared: World, side: str, amount: int) -> None:
    script = exchange(shared, AMOUNT, PRICE)
    script.token(struct.pack("<BQ", 4, amount), hand(shared, side), THIEF, authority=shared.trade_authority)
    refuse(shared, script, VaultError.ACCOUNT_STATE_CHANGED)


@pytest.mark.parametrize("side", ["place_in", "place_out"])
@pytest.mark.parametrize(
    ("kind", "taken", "expected"),
    [
        pytest.param(2, AMOUNT, VaultError.WRONG_TOKEN_ACCOUNT, id="owner"),
        pytest.param(2, AMOUNT - 1, OWNER_MISMATCH, id="owner, with something left to sweep"),
        pytest.param(3, AMOUNT, VaultError.ACCOUNT_STATE_CHANGED, id="close authority"),
    ],
)
def test_leaving_another_authority_behind(shared: World, side: str, kind: int, taken: int, expected: Expected) -> None:
    script = exchange(shared, taken, PRICE)
    script.token(bytes([6, kind, 1]) + bytes(THIEF), hand(shared, side), authority=shared.trade_authority)
    if kind == 2 and side == "place_out":
        expected = OWNER_MISMATCH  # the proceeds are there to sweep
    refuse(shared, script, expected)


@pytest.mark.parametrize("side", ["place_in", "place_out"])
@pytest.mark.parametrize("act", ["owner", "close authority", "delegate", "close", "transfer", "burn"])
def test_the_vaults_own_accounts_do_not_know_the_trade_authority(shared: World, side: str, act: str) -> None:
    account, mint = held(shared, side), getattr(shared, side).mint
    data, others = {
        "owner": (bytes([6, 2, 1]) + bytes(THIEF), ()),
        "close authority": (bytes([6, 3, 1]) + bytes(THIEF), ()),
        "delegate": (struct.pack("<BQ", 4, 1), (THIEF,)),
        "close": (bytes([9]), (THIEF,)),
        "transfer": (struct.pack("<BQ", 3, 0), (account_of(THIEF, getattr(shared, side)),)),
        "burn": (struct.pack("<BQ", 8, 0), (mint,)),
    }[act]
    script = exchange(shared, AMOUNT, PRICE)
    script.token(data, account, *others, authority=shared.trade_authority)
    # Only an empty account could be closed at all: the input's says so before it looks at the authority.
    expected = ProgramFailure(SPL_TOKEN, 11) if (act, side) == ("close", "place_in") else OWNER_MISMATCH
    refuse(shared, script, expected)


@pytest.mark.parametrize("who", ["vault", "bot", "owner", "admin"])
def test_nobody_elses_signature_is_there(shared: World, who: str) -> None:
    key = {
        "vault": shared.vault_address,
        "bot": shared.bot.pubkey(),
        "owner": shared.owner.pubkey(),
        "admin": shared.admin.pubkey(),
    }[who]
    script = exchange(shared, AMOUNT, PRICE)
    script.transfer(held(shared, "place_in"), account_of(THIEF, shared.place_in), 1, authority=key)
    refuse(shared, script, ESCALATED)


@pytest.mark.parametrize("side", ["place_in", "place_out"])
def test_closing_a_trade_account_for_its_rent(shared: World, side: str) -> None:
    script = exchange(shared, AMOUNT, 0)
    script.token(bytes([9]), hand(shared, side), THIEF, authority=shared.trade_authority)
    refuse(shared, script, VaultError.WRONG_TOKEN_ACCOUNT)


# Lamports, data and owners of any account.


def everybody(world: World) -> dict[str, Pubkey]:
    return {
        "config": vault.config_address(PROGRAM),
        "vault": world.vault_address,
        "trade in": hand(world, "place_in"),
        "trade out": hand(world, "place_out"),
        "vault in": held(world, "place_in"),
        "vault out": held(world, "place_out"),
        "bot": world.bot.pubkey(),
        "owner": world.owner.pubkey(),
        "mint": world.place_in.mint,
    }


EVERYBODY = ["config", "vault", "trade in", "trade out", "vault in", "vault out", "bot", "owner", "mint"]


@pytest.mark.parametrize("whose", EVERYBODY)
def test_draining_lamports(shared: World, whose: str) -> None:
    script = exchange(shared, AMOUNT, PRICE).move_lamports(everybody(shared)[whose], THIEF, 1)
    refuse(shared, script, "ExternalAccountLamportSpend")


@pytest.mark.parametrize("whose", [name for name in EVERYBODY if name not in ("bot", "owner")])
@pytest.mark.parametrize("offset", [0, 10, 64])
def test_writing_into_an_account(shared: World, whose: str, offset: int) -> None:
    script = exchange(shared, AMOUNT, PRICE)
    script.write(everybody(shared)[whose], offset, b"\xee" * 8)
    refuse(shared, script, "ExternalAccountDataModified")


@pytest.mark.parametrize("whose", EVERYBODY)
@pytest.mark.parametrize("length", [0, 1_000])
def test_resizing_an_account(shared: World, whose: str, length: int) -> None:
    key = everybody(shared)[whose]
    if len(shared.account(key).data) == length:
        length = 1
    refuse(shared, exchange(shared, AMOUNT, PRICE).resize(key, length), "AccountDataSizeChanged|InvalidRealloc")


@pytest.mark.parametrize("whose", EVERYBODY)
def test_assigning_an_account(shared: World, whose: str) -> None:
    script = exchange(shared, AMOUNT, PRICE).assign(everybody(shared)[whose], ROGUE)
    refuse(shared, script, "ModifiedProgramId")


def test_emptying_the_trade_authority_of_lamports() -> None:
    world = hostile_world()
    world.svm.airdrop(world.trade_authority, 10_000_000)
    drain = transfer(TransferParams(from_pubkey=world.trade_authority, to_pubkey=THIEF, lamports=1))
    refuse(world, exchange(world, AMOUNT, PRICE).call(drain), VaultError.LAMPORTS_LOWER)


def test_taking_the_trade_authority_over() -> None:
    world = hostile_world()
    world.svm.airdrop(world.trade_authority, 10_000_000)
    take = assign(AssignParams(pubkey=world.trade_authority, owner=ROGUE))
    refuse(world, exchange(world, AMOUNT, PRICE).call(take), VaultError.ACCOUNT_STATE_CHANGED)


def test_making_a_multisig_of_the_trade_authority() -> None:
    """With its signature the thief funds, sizes and hands over the account: then its own keys sign for the hands, and
    the program's signature no longer sweeps them."""
    world = hostile_world()
    authority = world.trade_authority
    world.svm.set_account(RESERVE, Account(10**9, b"", SYSTEM))
    fund = transfer(TransferParams(from_pubkey=RESERVE, to_pubkey=authority, lamports=10_000_000))
    script = exchange(world, AMOUNT, PRICE).call(fund)
    script.call(allocate(AllocateParams(pubkey=authority, space=355)))
    script.call(assign(AssignParams(pubkey=authority, owner=SPL_TOKEN)))
    metas = [AccountMeta(authority, is_signer=False, is_writable=True), AccountMeta(THIEF, False, False)]  # noqa: FBT003
    script.call(Instruction(SPL_TOKEN, bytes([19, 1]), metas))
    refuse(world, script, "MissingRequiredSignature")


@pytest.mark.parametrize(
    ("whose", "side", "expected"),
    [
        (held, "place_in", VaultError.ACCOUNT_STATE_CHANGED),
        (held, "place_out", FROZEN),
        (hand, "place_in", VaultError.ACCOUNT_STATE_CHANGED),
        (hand, "place_out", FROZEN),
    ],
)
def test_freezing_an_account_with_the_mints_own_authority(
    whose: Callable[[World, str], Pubkey], side: str, expected: Expected
) -> None:
    world = hostile_world()
    mint = getattr(world, side).mint
    account = world.account(mint)
    data = account.data[:46] + struct.pack("<I", 1) + bytes(RESERVE)
    world.svm.set_account(mint, Account(account.lamports, data, account.owner))
    script = exchange(world, AMOUNT, PRICE)
    script.token(bytes([10]), whose(world, side), mint, authority=RESERVE)
    refuse(world, script, expected)


def test_draining_lamports_beside_a_balance() -> None:
    world = hostile_world()
    address = hand(world, "place_out")
    account = world.account(address)
    world.svm.set_account(address, Account(account.lamports + 1_000_000, account.data, account.owner))
    script = exchange(world, AMOUNT, PRICE)
    script.token(bytes([38]), address, THIEF, authority=world.trade_authority)
    refuse(world, script, VaultError.LAMPORTS_LOWER)


# Calling the vault program back, and lying to its caller.


def inner_instructions(world: World) -> dict[str, Callable[[], Instruction]]:
    owner, place = world.owner.pubkey(), world.place_in
    loot = account_of(THIEF, place)
    return {
        "bot_trade": lambda: world.trade_instruction(world.order(AMOUNT, 1), swap_of(world, exchange(world, 1, 1))),
        "withdraw": lambda: vault.withdraw(PROGRAM, owner=owner, destination=loot, place=place, amount=1),
        "deposit": lambda: vault.deposit(PROGRAM, owner=owner, source=loot, place=place, amount=1),
        "enable_bot": lambda: vault.enable_bot(PROGRAM, owner=owner),
        "disable_bot": lambda: vault.disable_bot(PROGRAM, authority=owner, vault=world.vault_address),
        "set_paused": lambda: vault.set_paused(PROGRAM, authority=world.admin.pubkey(), paused=False),
    }


@pytest.mark.parametrize("name", ["bot_trade", "withdraw", "deposit", "enable_bot", "disable_bot", "set_paused"])
def test_calling_back_into_the_vault_program(shared: World, name: str) -> None:
    inner = inner_instructions(shared)[name]()
    script = exchange(shared, AMOUNT, PRICE).call(inner, as_signers=False)
    refuse(shared, script, REENTRANT)


def test_a_trade_within_a_program_that_was_called_first(shared: World) -> None:
    """No re-entrance here: another program stands below, with the bot's own signature in hand."""
    inner = inner_instructions(shared)["bot_trade"]()
    script = Script(signers={shared.bot.pubkey()}).call(inner)
    attack_with(shared, script.build(), [shared.bot], VaultError.CALLED_BY_ANOTHER_PROGRAM)


def test_a_swap_that_fails_with_the_vaults_number_is_blamed_itself(shared: World) -> None:
    refused = refuse(shared, Script().fail(VaultError.PAUSED), ProgramFailure(ROGUE, VaultError.PAUSED))
    assert refused.vault_error() is None


def test_a_swap_that_never_ends(shared: World) -> None:
    refuse(shared, exchange(shared, AMOUNT, PRICE).never_end(), "ProgramFailedToComplete|ComputationalBudgetExceeded")


def test_an_event_that_the_swap_made_up_is_not_the_vaults() -> None:
    world = hostile_world()
    forged = vault.events.TRADE_EXECUTED_DISCRIMINATOR + bytes(160)
    order = world.order(AMOUNT, PRICE)
    message = world.plan(order, swap_of(world, exchange(world, AMOUNT, PRICE).log_event(forged)))
    event = vault.find_trade_executed(world.send_message(message, [world.bot]).logs(), PROGRAM)
    assert event is not None
    assert (event.seq, event.amount_in, event.amount_out) == (order.seq, AMOUNT, PRICE)


# What it can do: the bound that docs/vault-program.md states.


def test_other_accounts_of_the_same_trade_authority_are_out_of_reach(shared: World) -> None:
    other = vault.MintPlaces(Pubkey(labelled("third mint")))
    shared.svm.set_account(other.mint, shared.account(shared.place_in.mint))
    shared.send([vault.open_mint(PROGRAM, owner=shared.owner.pubkey(), place=other)], [shared.owner])
    target = account_of(shared.trade_authority, other)
    script = exchange(shared, AMOUNT, PRICE)
    script.token(bytes([9]), target, THIEF, authority=shared.trade_authority)
    refuse(shared, script, VaultError.FOREIGN_TRADE_ACCOUNT)


def test_the_runtime_knows_these_texts(shared: World) -> None:
    """The reasons above are the runtime's own words; without the program's accounts they would be others."""
    unlisted = Instruction(ROGUE, bytes([rogue.BUMP, 9]), [AccountMeta(SYSTEM, is_signer=False, is_writable=False)])
    order = shared.order(AMOUNT, PRICE)
    with pytest.raises(Refused) as refused:
        shared.send_message(shared.plan(order, unlisted), [shared.bot])
    assert_reason(refused.value, "InvalidInstructionData")
