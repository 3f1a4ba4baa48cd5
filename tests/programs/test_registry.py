"""The configuration changes as the time lock allows: additions wait, removals do not, nobody holds anybody hostage."""

import pytest
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from xorj_solana import vault
from xorj_solana.programs import (
    ASSOCIATED_TOKEN,
    LOCAL_CPMM_PROGRAM,
    SPL_TOKEN,
    SYSTEM,
    TOKEN_2022,
    UPGRADEABLE_LOADER,
)
from xorj_solana.vault import VaultError, events

from tests.programs.svm_world import (
    DELAY_S,
    PROGRAM,
    SLOT,
    TOKEN,
    Refused,
    World,
    labelled,
    new_keypair,
    pass_time,
    trading_world,
)

OTHER_PROGRAM = Pubkey(labelled("another swap program"))


@pytest.fixture
def world() -> World:
    return trading_world()


def keep(world: World, instruction: Instruction, *signers: Keypair) -> list[vault.Event]:
    return list(vault.find_events(world.send([instruction], signers or [world.market_maker]).logs(), PROGRAM))


def refuse(world: World, instruction: Instruction, expected: VaultError, *signers: Keypair) -> None:
    before = world.config()
    with pytest.raises(Refused) as refused:
        world.send([instruction], signers or [world.market_maker])
    assert refused.value.vault_error() is expected, refused.value
    assert world.config() == before


def schedule(world: World, change: vault.Change) -> list[vault.Event]:
    return keep(world, vault.schedule(PROGRAM, admin=world.admin.pubkey(), change=change), world.admin)


def cancel_by(keypair: Keypair, change: vault.Change) -> Instruction:
    return vault.cancel(PROGRAM, authority=keypair.pubkey(), change=change)


def paused(keypair: Keypair, *, to: bool) -> Instruction:
    return vault.set_paused(PROGRAM, authority=keypair.pubkey(), paused=to)


def trade(world: World, bot: Keypair) -> None:
    order, swap = world.order(TOKEN, 1), world.swap(TOKEN)
    world.send_message(world.plan(order, swap, signer=bot), [bot])


def test_one_transaction_rotates_the_bot_key_of_every_vault_once_the_delay_has_passed(world: World) -> None:
    successor = new_keypair(world.svm, "next bot")
    change = vault.AddBotAuthority(successor.pubkey())
    start = world.svm.get_clock().unix_timestamp
    assert schedule(world, change) == [
        events.ChangeScheduled(change, start + DELAY_S, SLOT + DELAY_S, veto_spent=False)
    ]
    waiting = vault.Proposal(
        change, vault.ProposalState.WAITING, veto_spent=False, due_unix_s=start + DELAY_S, due_slot=SLOT + DELAY_S
    )
    assert world.config().proposals == (waiting,)
    with pytest.raises(Refused) as early:
        trade(world, successor)
    assert early.value.vault_error() is VaultError.WRONG_BOT_AUTHORITY
    apply, retire = (
        vault.apply(PROGRAM, change=change),
        vault.retire_authority(PROGRAM, authority=world.admin.pubkey(), key=world.bot.pubkey()),
    )
    pass_time(world, DELAY_S - 1)
    refuse(world, apply, VaultError.NOT_DUE)
    pass_time(world, 1)
    found = list(vault.find_events(world.send([apply, retire], [world.admin]).logs(), PROGRAM))
    assert found == [
        events.ChangeApplied(change, 1),
        events.AuthorityRetired(world.admin.pubkey(), world.bot.pubkey()),
    ]
    config = world.config()
    assert [authority.key for authority in config.bot_authorities] == [successor.pubkey()]
    assert (config.proposals, config.changes) == ((), 1)
    trade(world, successor)
    with pytest.raises(Refused) as late:
        trade(world, world.bot)
    assert late.value.vault_error() is VaultError.WRONG_BOT_AUTHORITY


def test_a_chain_that_stood_still_has_not_used_up_the_delay(world: World) -> None:
    change = vault.AllowProgram(OTHER_PROGRAM)
    schedule(world, change)
    pass_time(world, 3 * DELAY_S, slots=1)
    refuse(world, vault.apply(PROGRAM, change=change), VaultError.NOT_DUE)
    pass_time(world, 0, slots=DELAY_S - 1)
    assert keep(world, vault.apply(PROGRAM, change=change)) == [events.ChangeApplied(change, 1)]
    assert world.config().swap_programs == (LOCAL_CPMM_PROGRAM, OTHER_PROGRAM)


def test_what_was_forgotten_lapses_and_waits_anew_when_scheduled_again(world: World) -> None:
    change = vault.AllowProgram(OTHER_PROGRAM)
    schedule(world, change)
    again = vault.schedule(PROGRAM, admin=world.admin.pubkey(), change=change)
    pass_time(world, DELAY_S + vault.GRACE_S)
    refuse(world, again, VaultError.ALREADY_SCHEDULED, world.admin)
    pass_time(world, 1)
    refuse(world, vault.apply(PROGRAM, change=change), VaultError.LAPSED)
    keep(world, again, world.admin)
    assert len(world.config().proposals) == 1
    refuse(world, vault.apply(PROGRAM, change=change), VaultError.NOT_DUE)
    pass_time(world, DELAY_S)
    keep(world, vault.apply(PROGRAM, change=change))


def test_the_guardian_blocks_a_rotation_once_and_not_twice(world: World) -> None:
    change = vault.AddBotAuthority(Pubkey(labelled("next bot")))
    schedule(world, change)
    veto = cancel_by(world.guardian, change)
    assert keep(world, veto, world.guardian) == [events.ChangeCancelled(world.guardian.pubkey(), change, vetoed=True)]
    pass_time(world, DELAY_S)
    refuse(world, vault.apply(PROGRAM, change=change), VaultError.NOT_SCHEDULED)
    refuse(world, veto, VaultError.NOT_SCHEDULED, world.guardian)
    assert [type(event) for event in schedule(world, change)] == [events.ChangeScheduled]
    assert world.config().proposals[0].veto_spent
    refuse(world, veto, VaultError.VETO_SPENT, world.guardian)
    pass_time(world, DELAY_S)
    refuse(world, veto, VaultError.VETO_SPENT, world.guardian)
    keep(world, vault.apply(PROGRAM, change=change))
    assert change.key in {authority.key for authority in world.config().bot_authorities}


def test_a_stolen_guardian_key_is_replaced_although_its_thief_cancels_and_pauses(world: World) -> None:
    successor = new_keypair(world.svm, "next guardian")
    change = vault.SetGuardian(successor.pubkey())
    schedule(world, change)
    keep(world, cancel_by(world.guardian, change), world.guardian)
    keep(world, paused(world.guardian, to=True), world.guardian)
    schedule(world, change)
    pass_time(world, DELAY_S)
    keep(world, vault.apply(PROGRAM, change=change))
    keep(world, paused(world.admin, to=False), world.admin)
    refuse(world, paused(world.guardian, to=True), VaultError.NOT_ADMIN, world.guardian)
    keep(world, paused(successor, to=True), successor)


def test_the_admin_may_cancel_at_any_time_and_a_stranger_never(world: World) -> None:
    change = vault.AllowProgram(OTHER_PROGRAM)
    schedule(world, change)
    for stranger in (world.owner, world.bot):
        refuse(world, cancel_by(stranger, change), VaultError.NOT_ADMIN, stranger)
    assert keep(world, cancel_by(world.admin, change), world.admin) == [
        events.ChangeCancelled(world.admin.pubkey(), change, vetoed=False)
    ]
    assert world.config().proposals == ()
    refuse(world, cancel_by(world.admin, change), VaultError.NOT_SCHEDULED, world.admin)
    schedule(world, change)
    keep(world, cancel_by(world.guardian, change), world.guardian)
    keep(world, cancel_by(world.admin, change), world.admin)
    assert world.config().proposals == (), "cleared, and with it the memory of the veto"


def test_the_admin_changes_in_two_steps(world: World) -> None:
    successor = new_keypair(world.svm, "next admin")
    change = vault.SetAdmin(successor.pubkey())
    accept = vault.accept_admin(PROGRAM, new_admin=successor.pubkey())
    refuse(world, accept, VaultError.NOT_SCHEDULED, successor)
    schedule(world, change)
    refuse(world, accept, VaultError.NOT_DUE, successor)
    pass_time(world, DELAY_S)
    refuse(world, vault.apply(PROGRAM, change=change), VaultError.INVALID_CHANGE)
    stranger = vault.accept_admin(PROGRAM, new_admin=world.owner.pubkey())
    refuse(world, stranger, VaultError.NOT_SCHEDULED, world.owner)
    before = world.admin.pubkey()
    assert keep(world, accept, successor) == [events.AdminChanged(before, successor.pubkey())]
    assert world.config().admin == successor.pubkey()
    again = vault.schedule(PROGRAM, admin=before, change=vault.AllowProgram(OTHER_PROGRAM))
    refuse(world, again, VaultError.NOT_ADMIN, world.admin)


def test_resuming_waits_when_the_configuration_changed_during_the_pause(world: World) -> None:
    change = vault.AllowProgram(OTHER_PROGRAM)
    schedule(world, change)
    keep(world, paused(world.guardian, to=True), world.guardian)
    resume = paused(world.admin, to=False)
    pass_time(world, DELAY_S)
    keep(world, vault.apply(PROGRAM, change=change))
    refuse(world, resume, VaultError.UNPAUSE_LOCKED, world.admin)
    # Pausing again does not make the change part of what was paused.
    keep(world, paused(world.admin, to=True), world.admin)
    refuse(world, resume, VaultError.UNPAUSE_LOCKED, world.admin)
    stale = vault.schedule(PROGRAM, admin=world.admin.pubkey(), change=vault.Unpause(0))
    refuse(world, stale, VaultError.INVALID_CHANGE, world.admin)
    unpause = vault.Unpause(1)
    schedule(world, unpause)
    refuse(world, vault.apply(PROGRAM, change=unpause), VaultError.NOT_DUE)
    pass_time(world, DELAY_S)
    assert keep(world, vault.apply(PROGRAM, change=unpause)) == [events.ChangeApplied(unpause, 1)]
    assert not world.config().paused
    trade(world, world.bot)


def test_an_unpause_that_waited_does_not_resume_another_configuration(world: World) -> None:
    first, second = vault.AllowProgram(OTHER_PROGRAM), vault.AllowProgram(Pubkey(labelled("a third")))
    schedule(world, first)
    keep(world, paused(world.guardian, to=True), world.guardian)
    pass_time(world, DELAY_S)
    keep(world, vault.apply(PROGRAM, change=first))
    schedule(world, vault.Unpause(1))
    schedule(world, second)
    pass_time(world, DELAY_S)
    refuse(world, vault.apply(PROGRAM, change=vault.Unpause(1)), VaultError.INVALID_CHANGE)
    keep(world, vault.apply(PROGRAM, change=second))
    refuse(world, vault.apply(PROGRAM, change=vault.Unpause(1)), VaultError.INVALID_CHANGE)
    assert world.config().paused


@pytest.mark.parametrize("change", [vault.AllowProgram(OTHER_PROGRAM), vault.AddBotAuthority(OTHER_PROGRAM)], ids=repr)
def test_a_pause_is_not_lifted_just_to_apply_an_addition_after_it(world: World, change: vault.Change) -> None:
    """Else the guardian's pause would end in the transaction that applies what it objected to, and trades with it."""
    schedule(world, change)
    keep(world, paused(world.guardian, to=True), world.guardian)
    pass_time(world, DELAY_S)
    resume = paused(world.admin, to=False)
    assert world.config().unpause_is_locked
    refuse(world, resume, VaultError.UNPAUSE_LOCKED, world.admin)
    at_once = vault.schedule(PROGRAM, admin=world.admin.pubkey(), change=vault.Unpause(0))
    refuse(world, at_once, VaultError.INVALID_CHANGE, world.admin)
    keep(world, vault.cancel(PROGRAM, authority=world.admin.pubkey(), change=change), world.admin)
    assert not world.config().unpause_is_locked
    keep(world, resume, world.admin)
    assert not world.config().paused


def test_the_delay_does_not_shrink_during_a_pause(world: World) -> None:
    """Else resuming, which waits out the delay, would wait out a second."""
    lower = vault.LowerDelay(1)
    schedule(world, lower)
    keep(world, paused(world.guardian, to=True), world.guardian)
    pass_time(world, DELAY_S)
    refuse(world, vault.apply(PROGRAM, change=lower), VaultError.INVALID_CHANGE)
    refuse(world, paused(world.admin, to=False), VaultError.UNPAUSE_LOCKED, world.admin)
    assert world.config().delay_s == DELAY_S


def test_the_delay_grows_at_once_and_shrinks_only_through_itself(world: World) -> None:
    admin = world.admin.pubkey()

    def raised(delay_s: int) -> Instruction:
        return vault.raise_delay(PROGRAM, admin=admin, delay_s=delay_s)

    for wrong in (DELAY_S, DELAY_S - 1, 0, vault.DELAY_S_MAX + 1):
        refuse(world, raised(wrong), VaultError.INVALID_DELAY, world.admin)
    lower = vault.LowerDelay(DELAY_S)
    assert keep(world, raised(2 * DELAY_S), world.admin) == [events.DelayRaised(DELAY_S, 2 * DELAY_S)]
    schedule(world, lower)
    pass_time(world, 2 * DELAY_S - 1)
    refuse(world, vault.apply(PROGRAM, change=lower), VaultError.NOT_DUE)
    pass_time(world, 1)
    keep(world, vault.apply(PROGRAM, change=lower))
    assert world.config().delay_s == DELAY_S
    for wrong in (0, DELAY_S, DELAY_S + 1):
        order = vault.schedule(PROGRAM, admin=admin, change=vault.LowerDelay(wrong))
        refuse(world, order, VaultError.INVALID_CHANGE, world.admin)


def test_guardian_or_admin_remove_at_once_and_only_what_is_there(world: World) -> None:
    for keeper in (world.guardian, world.admin):
        absent = vault.remove_program(PROGRAM, authority=keeper.pubkey(), removed=OTHER_PROGRAM)
        refuse(world, absent, VaultError.NOT_ACTIVE, keeper)
        nothing = vault.remove_program(PROGRAM, authority=keeper.pubkey(), removed=Pubkey.default())
        refuse(world, nothing, VaultError.NOT_ACTIVE, keeper)
        stranger = vault.retire_authority(PROGRAM, authority=keeper.pubkey(), key=world.owner.pubkey())
        refuse(world, stranger, VaultError.NOT_ACTIVE, keeper)
    refuse(
        world,
        vault.remove_program(PROGRAM, authority=world.owner.pubkey(), removed=LOCAL_CPMM_PROGRAM),
        VaultError.NOT_ADMIN,
        world.owner,
    )
    guardian = world.guardian.pubkey()
    remove = vault.remove_program(PROGRAM, authority=guardian, removed=LOCAL_CPMM_PROGRAM)
    assert keep(world, remove, world.guardian) == [events.ProgramRemoved(guardian, LOCAL_CPMM_PROGRAM)]
    with pytest.raises(Refused) as refused:
        trade(world, world.bot)
    assert refused.value.vault_error() is VaultError.SWAP_PROGRAM_NOT_ALLOWED


def test_places_are_limited_and_a_full_registry_keeps_the_change_waiting(world: World) -> None:
    changes = [vault.AddBotAuthority(Pubkey(labelled(f"bot {number}"))) for number in range(7)]
    for change in changes[:6]:
        schedule(world, change)
    seventh = vault.schedule(PROGRAM, admin=world.admin.pubkey(), change=changes[6])
    refuse(world, seventh, VaultError.NO_PLACE, world.admin)
    pass_time(world, DELAY_S)
    for change in changes[:3]:
        keep(world, vault.apply(PROGRAM, change=change))
    refuse(world, vault.apply(PROGRAM, change=changes[3]), VaultError.NO_PLACE)
    retire = vault.retire_authority(PROGRAM, authority=world.guardian.pubkey(), key=world.bot.pubkey())
    keep(world, retire, world.guardian)
    keep(world, vault.apply(PROGRAM, change=changes[3]))
    assert {authority.key for authority in world.config().bot_authorities} == {change.key for change in changes[:4]}


@pytest.mark.parametrize("program", [PROGRAM, SYSTEM, SPL_TOKEN, TOKEN_2022, ASSOCIATED_TOKEN, UPGRADEABLE_LOADER])
def test_a_program_that_does_what_it_is_told_never_becomes_a_swap_program(world: World, program: Pubkey) -> None:
    order = vault.schedule(PROGRAM, admin=world.admin.pubkey(), change=vault.AllowProgram(program))
    refuse(world, order, VaultError.INVALID_CHANGE, world.admin)
