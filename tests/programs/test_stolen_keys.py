"""The worst case of each stolen key, as docs/vault-program.md states it: the thief tries all that the key can do.

1. Bot authority: of each mint, at most the owner's turnover limit in any stretch of one window; never a withdrawal.
2. Guardian: trading stops, for everybody and for as long as it takes to replace it, two delays at most; no funds move.
3. Admin: nothing for one delay, two when the guardian objects, three when it pauses as well; then what a bot authority
   can, in enabled vaults only.
4. Upgrade authority: everything, by another program; nothing by this one.
5. Fee payer: its own lamports.
Throughout all of them but 4 the owner withdraws and disables.
"""

import random
from collections.abc import Callable

import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from xorj_solana import vault
from xorj_solana.deploy import deployment
from xorj_solana.vault import Change, Limits, VaultError

from tests.programs import rogue
from tests.programs.lawful import AMOUNT, SCENES, lawful, pass_time
from tests.programs.refusals import replaced, signs
from tests.programs.rogue import ROGUE, SO, THIEF, Script, exchange
from tests.programs.svm_world import (
    DELAY_S,
    PROGRAM,
    SLOT,
    TOKEN,
    Refused,
    World,
    empty_world,
    initialize,
    labelled,
    new_keypair,
    trading_world,
)
from tests.programs.untouched import attack, attack_with, refusal_of

SHARE, TURNOVER, WINDOW = 2_500, 4_000, 100
HELD = 5_000 * TOKEN


def plundered_world() -> World:
    """A vault with limits, and a swap program that gives one base unit for everything."""
    world = trading_world()
    rogue.set_up(world)
    world.allow(ROGUE)
    limits = Limits(SHARE, TURNOVER, 0, WINDOW, (world.place_in.mint, world.place_out.mint))
    world.send([vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=limits)], [world.owner])
    return world


def plunder(world: World, amount: int, signer: Keypair | None = None) -> bool:
    """Takes `amount` for one base unit; whether the program let it."""
    script = exchange(world, amount, 1)
    script.signers.add(world.trade_authority)
    message = world.plan(world.order(amount, 1), script.build(), signer=signer)
    try:
        world.send_message(message, [signer or world.bot])
    except Refused:
        return False
    return True


def held(world: World) -> int:
    return world.holding(world.vault_address, world.place_in)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_stolen_bot_key_takes_no_more_than_the_turnover_in_any_stretch_of_a_window(seed: int) -> None:
    """The greediest thief: at random moments, as much as goes, in large steps and then in ever smaller ones."""
    numbers = random.Random(seed)
    world = plundered_world()
    seen = [(SLOT, HELD)]
    slot = SLOT
    while slot < SLOT + 4 * WINDOW:
        slot += numbers.choice((0, 1, 9, WINDOW // 2, WINDOW - 1))
        world.svm.warp_to_slot(slot)
        part = held(world) * SHARE // 10_000
        while part > 0:
            while plunder(world, part):
                seen.append((slot, held(world)))
            part //= numbers.choice((2, 7, 1_000))
    for at, (start, before) in enumerate(seen):
        left = min(balance for later, balance in seen[at:] if later < start + WINDOW)
        assert left * 10_000 >= before * (10_000 - TURNOVER), f"seed {seed}, slot {start}: {before} became {left}"
    # The bound is met, not missed by far: the thief took what there was to take.
    assert held(world) < HELD * (10_000 - TURNOVER) // 10_000


def test_a_stolen_bot_key_does_nothing_but_trade() -> None:
    owners = {"open_mint", "close_mint", "deposit", "withdraw", "enable_bot", "disable_bot", "set_limits"}
    others = {"open_vault": VaultError.WRONG_VAULT, "accept_admin": VaultError.NOT_SCHEDULED}
    for name in SCENES.keys() - {"bot_trade", "initialize", "apply"}:
        scene = lawful(name)
        bot = scene.world.bot
        signed = AccountMeta(bot.pubkey(), is_signer=True, is_writable=scene.instruction.accounts[0].is_writable)
        changed = replaced(scene.instruction, 0, signed)
        expected = others.get(name, VaultError.NOT_OWNER if name in owners else VaultError.NOT_ADMIN)
        attack(scene.world, scene.message(changed, [bot]), [bot], expected)


def test_the_owner_gets_everything_out_while_a_stolen_bot_key_trades() -> None:
    world = plundered_world()
    assert plunder(world, AMOUNT)
    disable = vault.disable_bot(PROGRAM, authority=world.owner.pubkey(), vault=world.vault_address)
    world.send([disable], [world.owner])
    assert not plunder(world, 1)
    everything_leaves(world)


def everything_leaves(world: World) -> None:
    """The owner withdraws all of both mints."""
    owner = world.owner.pubkey()
    for place in (world.place_in, world.place_out):
        if world.holding(world.vault_address, place):
            target = world.fund(owner, place, 0)
            order = vault.withdraw(PROGRAM, owner=owner, destination=target, place=place, amount=2**64 - 1)
            world.send([order], [world.owner])
        assert world.holding(world.vault_address, place) == 0


class Guardian:
    """A thief with the guardian's key, who does all the harm it can whenever it is asked."""

    def __init__(self, world: World) -> None:
        self.world, self.key = world, world.guardian

    def strike(self) -> set[str]:
        """What succeeded."""
        world, key = self.world, self.key.pubkey()
        config = world.config()
        orders: list[tuple[str, Instruction]] = [
            ("pause", vault.set_paused(PROGRAM, authority=key, paused=True)),
            ("disable", vault.disable_bot(PROGRAM, authority=key, vault=world.vault_address)),
            *(("retire", vault.retire_authority(PROGRAM, authority=key, key=a.key)) for a in config.bot_authorities),
            *(("remove", vault.remove_program(PROGRAM, authority=key, removed=p)) for p in config.swap_programs),
            *(("veto", vault.cancel(PROGRAM, authority=key, change=p.change)) for p in config.proposals),
            *(("apply", vault.apply(PROGRAM, change=p.change)) for p in config.proposals),
            ("resume", vault.set_paused(PROGRAM, authority=key, paused=False)),
            ("schedule", vault.schedule(PROGRAM, admin=key, change=vault.AddBotAuthority(key))),
            ("raise", vault.raise_delay(PROGRAM, admin=key, delay_s=DELAY_S + 1)),
        ]
        return {name for name, order in orders if self.succeeds(order)}

    def succeeds(self, order: Instruction) -> bool:
        try:
            self.world.send([order], [self.key])
        except Refused:
            return False
        return True


def test_a_stolen_guardian_key_stops_trading_for_two_delays_at_most_and_moves_nothing() -> None:
    world = trading_world()
    thief = Guardian(world)
    balances = world.trade_balances()
    successor = new_keypair(world.svm, "successor of the guardian")
    admin = world.admin.pubkey()
    replace = vault.SetGuardian(successor.pubkey())
    world.send([vault.schedule(PROGRAM, admin=admin, change=replace)], [world.admin])
    assert thief.strike() == {"pause", "disable", "retire", "remove", "veto"}
    world.send([vault.schedule(PROGRAM, admin=admin, change=replace)], [world.admin])
    elapsed = 0
    while elapsed < DELAY_S:
        assert "veto" not in thief.strike()
        pass_time(world, DELAY_S // 4)
        elapsed += DELAY_S // 4
    world.send([vault.apply(PROGRAM, change=replace)], [world.market_maker])
    assert thief.strike() == set()
    assert world.trade_balances() == balances
    # What it took away comes back through the lock, which nobody can block any more.
    restored: list[Change] = [vault.AddBotAuthority(world.bot.pubkey()), vault.AllowProgram(swap_program(world))]
    for change in restored:
        world.send([vault.schedule(PROGRAM, admin=admin, change=change)], [world.admin])
    pass_time(world, DELAY_S)
    for change in restored:
        world.send([vault.apply(PROGRAM, change=change)], [world.market_maker])
    unpause = vault.Unpause(world.config().changes)
    world.send([vault.schedule(PROGRAM, admin=admin, change=unpause)], [world.admin])
    pass_time(world, DELAY_S)
    world.send([vault.apply(PROGRAM, change=unpause)], [world.market_maker])
    world.send([vault.enable_bot(PROGRAM, owner=world.owner.pubkey())], [world.owner])
    world.send_message(world.plan(world.order(AMOUNT, 1), world.swap(AMOUNT)), [world.bot])


def swap_program(world: World) -> Pubkey:
    return world.swap(1).program_id


def test_the_owner_gets_everything_out_whatever_a_stolen_guardian_key_did() -> None:
    world = trading_world()
    Guardian(world).strike()
    everything_leaves(world)


def test_a_stolen_admin_key_achieves_nothing_for_two_delays_when_the_guardian_objects() -> None:
    world = plundered_world()
    admin, thief = world.admin.pubkey(), new_keypair(world.svm, "thief's bot")
    wanted: list[Change] = [
        vault.AddBotAuthority(thief.pubkey()), vault.AllowProgram(Pubkey(labelled("thief's program"))),
        vault.SetGuardian(thief.pubkey()), vault.LowerDelay(1),
    ]  # fmt: skip
    world.send([vault.remove_program(PROGRAM, authority=admin, removed=ROGUE)], [world.admin])
    for change in wanted:
        world.send([vault.schedule(PROGRAM, admin=admin, change=change)], [world.admin])
    pass_time(world, DELAY_S - 1)
    for change in wanted:
        attack_with(world, vault.apply(PROGRAM, change=change), [world.admin], VaultError.NOT_DUE)
        veto = vault.cancel(PROGRAM, authority=world.guardian.pubkey(), change=change)
        world.send([veto], [world.guardian])
        world.send([vault.schedule(PROGRAM, admin=admin, change=change)], [world.admin])
    pass_time(world, DELAY_S - 1)
    for change in wanted:
        attack_with(world, vault.apply(PROGRAM, change=change), [world.admin], VaultError.NOT_DUE)
    assert not plunder(world, 1, signer=thief)
    assert held(world) == HELD
    pass_time(world, 1)
    for change in wanted:
        world.send([vault.apply(PROGRAM, change=change)], [world.admin])


def test_a_stolen_admin_key_needs_a_third_delay_when_the_guardian_pauses_as_well() -> None:
    world = plundered_world()
    admin, thief = world.admin.pubkey(), new_keypair(world.svm, "thief's bot")
    change = vault.AddBotAuthority(thief.pubkey())
    schedule = vault.schedule(PROGRAM, admin=admin, change=change)
    resume = vault.set_paused(PROGRAM, authority=admin, paused=False)
    world.send([schedule], [world.admin])
    pass_time(world, DELAY_S)
    world.send([vault.cancel(PROGRAM, authority=world.guardian.pubkey(), change=change)], [world.guardian])
    world.send([schedule], [world.admin])
    world.send([vault.set_paused(PROGRAM, authority=world.guardian.pubkey(), paused=True)], [world.guardian])
    pass_time(world, DELAY_S)
    attack_with(world, resume, [world.admin], VaultError.UNPAUSE_LOCKED)
    world.send([vault.apply(PROGRAM, change=change)], [world.admin])
    attack_with(world, resume, [world.admin], VaultError.UNPAUSE_LOCKED)
    unpause = vault.Unpause(world.config().changes)
    world.send([vault.schedule(PROGRAM, admin=admin, change=unpause)], [world.admin])
    pass_time(world, DELAY_S - 1)
    attack_with(world, vault.apply(PROGRAM, change=unpause), [world.admin], VaultError.NOT_DUE)
    assert not plunder(world, TOKEN, signer=thief)
    pass_time(world, 1)
    world.send([vault.apply(PROGRAM, change=unpause)], [world.admin])
    assert plunder(world, TOKEN, signer=thief)


def test_a_stolen_admin_key_that_has_waited_takes_what_a_bot_key_takes_from_enabled_vaults_only() -> None:
    world = plundered_world()
    thief = new_keypair(world.svm, "thief's bot")
    change = vault.AddBotAuthority(thief.pubkey())
    world.send([vault.schedule(PROGRAM, admin=world.admin.pubkey(), change=change)], [world.admin])
    pass_time(world, DELAY_S)
    world.send([vault.apply(PROGRAM, change=change)], [world.admin])
    part = HELD
    while part > 0:
        if not plunder(world, min(part, held(world)), signer=thief):
            part //= 2
    assert held(world) * 10_000 >= HELD * (10_000 - TURNOVER)
    assert held(world) < HELD
    disable = vault.disable_bot(PROGRAM, authority=world.owner.pubkey(), vault=world.vault_address)
    world.send([disable], [world.owner])
    pass_time(world, 10 * WINDOW)
    assert not plunder(world, 1, signer=thief)
    enable = vault.enable_bot(PROGRAM, owner=world.owner.pubkey())
    own = replaced(enable, 0, AccountMeta(world.admin.pubkey(), is_signer=True, is_writable=False))
    attack_with(world, own, [world.admin], VaultError.NOT_OWNER)
    everything_leaves(world)


def test_a_stolen_upgrade_authority_does_nothing_with_this_program_once_it_is_initialized() -> None:
    world = trading_world()
    thief = world.upgrade_authority
    attack_with(world, initialize(world), [world.admin, thief], VaultError.ALREADY_INITIALIZED)
    builders: list[Callable[[Pubkey], Instruction]] = [
        lambda key: vault.set_paused(PROGRAM, authority=key, paused=True),
        lambda key: vault.schedule(PROGRAM, admin=key, change=vault.AddBotAuthority(key)),
        lambda key: vault.retire_authority(PROGRAM, authority=key, key=world.bot.pubkey()),
        lambda key: vault.remove_program(PROGRAM, authority=key, removed=swap_program(world)),
        lambda key: vault.raise_delay(PROGRAM, admin=key, delay_s=DELAY_S + 1),
    ]
    for build in builders:
        attack_with(world, build(thief.pubkey()), [thief], VaultError.NOT_ADMIN)
    stop = vault.disable_bot(PROGRAM, authority=thief.pubkey(), vault=world.vault_address)
    attack_with(world, stop, [thief], VaultError.NOT_OWNER)


def test_a_stolen_upgrade_authority_does_anything_with_another_program() -> None:
    """So it has to be several people's key, with a delay of its own: nothing on chain is above it."""
    world = trading_world()
    for address, account in deployment(PROGRAM, SO.read_bytes(), world.upgrade_authority.pubkey(), SLOT - 1):
        world.svm.set_account(address, account)
    config = vault.config_address(PROGRAM)
    world.send([Script().write(config, 16, bytes(THIEF)).build(PROGRAM)], [world.market_maker])
    assert world.config().admin == THIEF


def test_the_upgrade_authority_initializes_nothing_that_would_act_at_once_against_a_vault() -> None:
    """Before the first configuration there is no vault that a bot could trade."""
    world = empty_world()
    world.send([vault.open_vault(PROGRAM, owner=world.owner.pubkey())], [world.owner])
    assert not world.vault_state().enabled
    assert world.vault_state().limits.mints == ()


def test_a_stolen_fee_payer_key_signs_nothing_that_counts() -> None:
    payer = new_keypair(lawful("apply").world.svm, "fee payer")
    for name in SCENES:
        scene = lawful(name)
        scene.world.svm.airdrop(payer.pubkey(), 10**10)
        for at, meta in enumerate(scene.instruction.accounts):
            # Opening a vault of its own, and paying for the configuration, are nobody's loss.
            if not meta.is_signer or (name, at) == ("initialize", 0):
                continue
            signed = AccountMeta(payer.pubkey(), is_signer=True, is_writable=meta.is_writable)
            changed = replaced(scene.instruction, at, signed)
            signers = [payer, *(key for key in scene.signers if signs(changed, key))]
            assert refusal_of(scene.world, scene.message(changed, signers), signers) is not None, name


def test_a_hostile_swap_does_not_get_at_the_fee_payers_lamports() -> None:
    world = plundered_world()
    payer = new_keypair(world.svm, "fee payer")
    take = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=THIEF, lamports=1))
    for script, expected in (
        (exchange(world, AMOUNT, 1).call(take), "PrivilegeEscalation"),
        (exchange(world, AMOUNT, 1).move_lamports(payer.pubkey(), THIEF, 1), "ExternalAccountLamportSpend"),
    ):
        script.signers.add(world.trade_authority)
        trade = world.trade_instruction(world.order(AMOUNT, 1), script.build())
        attack(world, world.planned(trade, payer), [payer, world.bot], expected)


def test_the_fee_payer_loses_its_own_lamports_only() -> None:
    world = trading_world()
    payer = new_keypair(world.svm, "fee payer")
    balances = world.trade_balances()
    world.svm.set_account(THIEF, Account(10**9, b"", Pubkey.default()))
    everything = world.account(payer.pubkey()).lamports - 5_000
    world.send([transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=THIEF, lamports=everything))], [payer])
    assert world.trade_balances() == balances
    world.send_message(world.plan(world.order(AMOUNT, 1), world.swap(AMOUNT)), [world.bot])
