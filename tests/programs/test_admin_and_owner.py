"""Who may configure, pause, open, deposit, withdraw, enable and disable."""

from collections.abc import Callable

import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from xorj_solana import vault
from xorj_solana.programs import LOCAL_CPMM_PROGRAM, SPL_TOKEN, TOKEN_2022
from xorj_solana.vault import MintPlaces, VaultError

from tests.programs.svm_world import (
    DELAY_S,
    PROGRAM,
    RENT,
    TOKEN,
    Refused,
    World,
    account_of,
    empty_world,
    initialize,
    labelled,
    new_keypair,
    trading_world,
)


def send_refused(world: World, instruction: Instruction, signers: list[Keypair], expected: VaultError | None) -> None:
    """`expected` None: refused by another program."""
    with pytest.raises(Refused) as refused:
        world.send([instruction], signers)
    assert refused.value.vault_error() is expected, refused.value


def configured(world: World, **changed: object) -> Instruction:
    arguments: dict[str, object] = {
        "payer": world.admin.pubkey(),
        "upgrade_authority": world.upgrade_authority.pubkey(),
        "admin": world.admin.pubkey(),
        "guardian": world.guardian.pubkey(),
        "swap_programs": [LOCAL_CPMM_PROGRAM],
        "bot_authorities": [world.bot.pubkey()],
        "delay_s": DELAY_S,
    }
    return vault.initialize(PROGRAM, **(arguments | changed))  # type: ignore[arg-type]


def test_the_upgrade_authority_initializes_once() -> None:
    world = empty_world()
    signers = [world.admin, world.upgrade_authority]
    world.send([initialize(world)], signers)
    assert world.config() == vault.Config(
        admin=world.admin.pubkey(),
        guardian=world.guardian.pubkey(),
        paused=False,
        swap_programs=(LOCAL_CPMM_PROGRAM,),
        bot_authorities=(vault.BotAuthority(world.bot.pubkey(), vault.BotAuthorityState.ACTIVE),),
        delay_s=DELAY_S,
        changes=0,
        changes_at_pause=0,
        proposals=(),
    )
    config = world.config()
    send_refused(world, configured(world, admin=world.owner.pubkey()), signers, VaultError.ALREADY_INITIALIZED)
    assert world.config() == config


def test_lamports_sent_ahead_do_not_prevent_initializing() -> None:
    world = empty_world()
    world.svm.airdrop(vault.config_address(PROGRAM), 1_000_000)
    world.send([initialize(world)], [world.admin, world.upgrade_authority])
    assert not world.config().paused


def test_a_stranger_does_not_initialize() -> None:
    world = empty_world()
    stranger = world.owner
    own = configured(world, upgrade_authority=stranger.pubkey())
    send_refused(world, own, [world.admin, stranger], VaultError.NOT_UPGRADE_AUTHORITY)
    unsigned = list(initialize(world).accounts)
    unsigned[1] = AccountMeta(world.upgrade_authority.pubkey(), is_signer=False, is_writable=False)
    send_refused(world, Instruction(PROGRAM, own.data, unsigned), [world.admin], VaultError.NOT_UPGRADE_AUTHORITY)


def test_program_data_of_a_strangers_making_does_not_initialize() -> None:
    world = empty_world()
    stranger = world.owner
    forged = Pubkey(labelled("forged program data"))
    data = (3).to_bytes(4, "little") + bytes(8) + b"\x01" + bytes(stranger.pubkey())
    for owner in (LOCAL_CPMM_PROGRAM, Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")):
        world.svm.set_account(forged, Account(RENT, data, owner))
        made_up = configured(world, upgrade_authority=stranger.pubkey())
        accounts = list(made_up.accounts)
        accounts[4] = AccountMeta(forged, is_signer=False, is_writable=False)
        instruction = Instruction(PROGRAM, made_up.data, accounts)
        send_refused(world, instruction, [world.admin, stranger], VaultError.NOT_UPGRADE_AUTHORITY)


@pytest.mark.parametrize(
    "changed",
    [
        {"admin": Pubkey.default()},
        {"guardian": Pubkey.default()},
        {"swap_programs": [LOCAL_CPMM_PROGRAM, LOCAL_CPMM_PROGRAM]},
        {"swap_programs": [SPL_TOKEN]},
        {"swap_programs": [LOCAL_CPMM_PROGRAM, TOKEN_2022]},
        {"swap_programs": [PROGRAM]},
        {"bot_authorities": [Pubkey(labelled("bot")), Pubkey(labelled("bot"))]},
        {"bot_authorities": [Pubkey.default()]},
    ],
)
def test_an_invalid_configuration_is_refused(changed: dict[str, object]) -> None:
    world = empty_world()
    instruction = configured(world, **changed)
    send_refused(world, instruction, [world.admin, world.upgrade_authority], VaultError.INVALID_CONFIGURATION)


def test_the_guardian_pauses_and_only_the_admin_resumes() -> None:
    world = trading_world()

    def order(keypair: Keypair, *, paused: bool) -> Instruction:
        return vault.set_paused(PROGRAM, authority=keypair.pubkey(), paused=paused)

    world.send([order(world.guardian, paused=True)], [world.guardian], name="set_paused")
    assert world.config().paused
    for stranger in (world.guardian, world.bot, world.owner):
        send_refused(world, order(stranger, paused=False), [stranger], VaultError.NOT_ADMIN)
    world.send([order(world.admin, paused=False)], [world.admin])
    assert not world.config().paused
    for stranger in (world.bot, world.owner):
        send_refused(world, order(stranger, paused=True), [stranger], VaultError.NOT_ADMIN)
    world.send([order(world.admin, paused=True)], [world.admin])
    assert world.config().paused


def test_a_vault_opens_once_and_without_the_bot() -> None:
    world = trading_world()
    newcomer = new_keypair(world.svm, "newcomer")
    address = vault.vault_address(PROGRAM, newcomer.pubkey())
    world.svm.airdrop(address, 1)
    opening = vault.open_vault(PROGRAM, owner=newcomer.pubkey())
    world.send([opening], [newcomer])
    state = vault.parse_vault(world.account(address).data)
    assert (state.owner, state.enabled, state.trade_seq, state.last_trade) == (newcomer.pubkey(), False, 0, None)
    send_refused(world, opening, [newcomer], VaultError.ALREADY_INITIALIZED)


def test_a_vault_is_at_its_owners_address_only() -> None:
    world = trading_world()
    newcomer = new_keypair(world.svm, "newcomer")
    accounts = list(vault.open_vault(PROGRAM, owner=newcomer.pubkey()).accounts)
    accounts[1] = AccountMeta(Pubkey(labelled("elsewhere")), is_signer=False, is_writable=True)
    data = vault.open_vault(PROGRAM, owner=newcomer.pubkey()).data
    send_refused(world, Instruction(PROGRAM, data, accounts), [newcomer], VaultError.WRONG_VAULT)


def test_opening_a_mint_twice_changes_nothing_and_a_transfer_hook_is_refused() -> None:
    world = trading_world()
    owner = world.owner
    balances = world.trade_balances()
    world.send([vault.open_mint(PROGRAM, owner=owner.pubkey(), place=world.place_in)], [owner])
    assert world.trade_balances() == balances
    extended = MintPlaces(Pubkey(labelled("mint with an extension")), TOKEN_2022)
    plain = world.account(world.place_in.mint).data
    world.svm.set_account(
        extended.mint, Account(RENT, plain + bytes(83) + b"\x01\x0e\x00\x40\x00" + bytes(64), TOKEN_2022)
    )
    instruction = vault.open_mint(PROGRAM, owner=owner.pubkey(), place=extended)
    send_refused(world, instruction, [owner], VaultError.UNSUPPORTED_MINT)
    foreign = MintPlaces(world.place_in.mint, TOKEN_2022)
    instruction = vault.open_mint(PROGRAM, owner=owner.pubkey(), place=foreign)
    send_refused(world, instruction, [owner], VaultError.WRONG_MINT)


def test_the_owner_withdraws_while_paused() -> None:
    world = trading_world()
    world.send([vault.set_paused(PROGRAM, authority=world.guardian.pubkey(), paused=True)], [world.guardian])
    owner = world.owner
    destination = account_of(owner.pubkey(), world.place_in)
    everything = vault.withdraw(
        PROGRAM, owner=owner.pubkey(), destination=destination, place=world.place_in, amount=5_000 * TOKEN
    )
    world.send([everything], [owner], name="withdraw")
    assert world.balance(destination) == 5_000 * TOKEN
    assert world.holding(world.vault_address, world.place_in) == 0


@pytest.mark.parametrize("role", ["bot", "admin", "guardian"])
def test_nobody_else_withdraws_deposits_or_enables(role: str) -> None:
    world = trading_world()
    stranger: Keypair = getattr(world, role)
    key, place = stranger.pubkey(), world.place_in
    own = world.fund(key, place, TOKEN)
    builders: list[Callable[[Pubkey], Instruction]] = [
        lambda owner: vault.withdraw(PROGRAM, owner=owner, destination=own, place=place, amount=1),
        lambda owner: vault.deposit(PROGRAM, owner=owner, source=own, place=place, amount=1),
        lambda owner: vault.enable_bot(PROGRAM, owner=owner),
        lambda owner: vault.open_mint(PROGRAM, owner=owner, place=place),
    ]
    balances = world.trade_balances()
    for build in builders:
        honest = build(world.owner.pubkey())
        accounts = [
            AccountMeta(key, is_signer=True, is_writable=meta.is_writable) if index == 0 else meta
            for index, meta in enumerate(honest.accounts)
        ]
        send_refused(world, Instruction(PROGRAM, honest.data, accounts), [stranger], VaultError.NOT_OWNER)
        unsigned = [AccountMeta(honest.accounts[0].pubkey, is_signer=False, is_writable=False), *honest.accounts[1:]]
        send_refused(world, Instruction(PROGRAM, honest.data, unsigned), [stranger], VaultError.NOT_OWNER)
    assert world.trade_balances() == balances


def test_a_stranger_does_not_disable() -> None:
    world = trading_world()
    for stranger in (world.bot, world.market_maker):
        instruction = vault.disable_bot(PROGRAM, authority=stranger.pubkey(), vault=world.vault_address)
        send_refused(world, instruction, [stranger], VaultError.NOT_OWNER)
    assert world.vault_state().enabled


def test_a_deposit_goes_to_the_vaults_own_account_and_zero_is_refused() -> None:
    world = trading_world()
    owner, place = world.owner, world.place_in
    source = world.fund(owner.pubkey(), place, TOKEN)
    honest = vault.deposit(PROGRAM, owner=owner.pubkey(), source=source, place=place, amount=TOKEN)
    accounts = list(honest.accounts)
    accounts[3] = AccountMeta(account_of(world.trade_authority, place), is_signer=False, is_writable=True)
    send_refused(world, Instruction(PROGRAM, honest.data, accounts), [owner], VaultError.WRONG_TOKEN_ACCOUNT)
    nothing = vault.deposit(PROGRAM, owner=owner.pubkey(), source=source, place=place, amount=0)
    send_refused(world, nothing, [owner], VaultError.ZERO_AMOUNT)
    too_much = vault.deposit(PROGRAM, owner=owner.pubkey(), source=source, place=place, amount=TOKEN + 1)
    send_refused(world, too_much, [owner], None)
    assert world.balance(source) == TOKEN
