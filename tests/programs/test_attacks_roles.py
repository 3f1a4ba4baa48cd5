"""Who may do what to the configuration, and when: every role, every instruction, every state of a change.

The walk takes each kind of change into each state that it can be in (never scheduled, waiting, vetoed, its veto spent)
and each moment of its time (a second or a slot early, due, at the end of its grace, after it), and then lets everybody
try everything. What must happen is written down here as a table of states, not read from the program.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from xorj_solana import vault
from xorj_solana.vault import Change, VaultError

from tests.programs.lawful import pass_time
from tests.programs.svm_world import DELAY_S, PROGRAM, Refused, World, empty_world, initialize, labelled, new_keypair
from tests.programs.untouched import attack_with

GRACE_S = 7 * 86_400
NEW = Pubkey(labelled("new key"))
ROLES = ("admin", "guardian", "bot", "owner", "market_maker", "upgrade_authority")


def heir(world: World) -> Keypair:
    return new_keypair(world.svm, "heir")


CHANGES: dict[str, Callable[[World], Change]] = {
    "bot authority": lambda _: vault.AddBotAuthority(NEW),
    "program": lambda _: vault.AllowProgram(NEW),
    "guardian": lambda _: vault.SetGuardian(NEW),
    "admin": lambda world: vault.SetAdmin(heir(world).pubkey()),
    "delay": lambda _: vault.LowerDelay(1),
    "unpause": lambda world: vault.Unpause(world.config().changes),
}

# State of a proposal, how the keepers bring it about, and whether the guardian may (still) cancel it.
STATES: dict[str, tuple[str, ...]] = {
    "never scheduled": (),
    "waiting": ("schedule",),
    "vetoed": ("schedule", "veto"),
    "scheduled again": ("schedule", "veto", "schedule"),
    "withdrawn by the admin": ("schedule", "withdraw"),
}

# Moment: seconds and slots beyond due.
MOMENTS: dict[str, tuple[int, int]] = {
    "a second early": (-1, 0),
    "a slot early": (0, -1),
    "due": (0, 0),
    "at the end of its grace": (GRACE_S, 0),
    "after its grace": (GRACE_S + 1, 0),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """One change of one kind, in one state, at one moment."""

    world: World
    change: Change
    state: str
    moment: str

    @property
    def is_waiting(self) -> bool:
        return self.state in ("waiting", "scheduled again")

    def apply_reason(self) -> VaultError | None:
        """What applying it is answered, None for success."""
        if not self.is_waiting:
            return VaultError.NOT_SCHEDULED
        if self.moment in ("a second early", "a slot early"):
            return VaultError.NOT_DUE
        return VaultError.LAPSED if self.moment == "after its grace" else None

    def cancel_reason(self, role: str) -> VaultError | None:
        if role not in ("admin", "guardian"):
            return VaultError.NOT_ADMIN
        if role == "admin":
            return None if self.is_waiting or self.state == "vetoed" else VaultError.NOT_SCHEDULED
        if not self.is_waiting:
            return VaultError.NOT_SCHEDULED
        return VaultError.VETO_SPENT if self.state == "scheduled again" else None

    def schedule_reason(self, role: str) -> VaultError | None:
        if role != "admin":
            return VaultError.NOT_ADMIN
        if self.is_waiting and self.moment != "after its grace":
            return VaultError.ALREADY_SCHEDULED
        return None


def configured_world() -> World:
    """Initialised, without a vault: all that the configuration needs."""
    world = empty_world()
    world.send([initialize(world)], [world.admin, world.upgrade_authority])
    return world


def scene_of(kind: str, state: str, moment: str) -> Scene:
    world = configured_world()
    if kind == "unpause":
        world.send([vault.set_paused(PROGRAM, authority=world.guardian.pubkey(), paused=True)], [world.guardian])
    change = CHANGES[kind](world)
    for act in STATES[state]:
        match act:
            case "schedule":
                world.send([schedule(world, "admin", change)], [world.admin])
            case "veto":
                world.send([cancel(world, "guardian", change)], [world.guardian])
            case _:
                world.send([cancel(world, "admin", change)], [world.admin])
    seconds, slots = MOMENTS[moment]
    pass_time(world, DELAY_S + seconds, DELAY_S + slots)
    return Scene(world, change, state, moment)


def do(build: Callable[[World, str, Change], Instruction], role: str, scene: Scene) -> None:
    expect(scene.world, build(scene.world, role, scene.change), getattr(scene.world, role), None)


def schedule(world: World, role: str, change: Change) -> Instruction:
    key: Keypair = getattr(world, role)
    return vault.schedule(PROGRAM, admin=key.pubkey(), change=change)


def cancel(world: World, role: str, change: Change) -> Instruction:
    key: Keypair = getattr(world, role)
    return vault.cancel(PROGRAM, authority=key.pubkey(), change=change)


def expect(world: World, instruction: Instruction, signer: Keypair, reason: VaultError | None) -> None:
    """Refused with this reason and without a trace, or accepted."""
    if reason is not None:
        attack_with(world, instruction, [signer], reason)
        return
    before = world.config()
    world.send([instruction], [signer])
    assert world.config() != before


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", CHANGES)
def test_every_role_in_every_state_at_every_moment(kind: str, state: str, moment: str) -> None:
    """All that is refused first, on one world; then each thing that is allowed, on a world of its own."""
    scene = scene_of(kind, state, moment)
    allowed: list[Callable[[Scene], None]] = []
    for role in ROLES:
        for build, reason in ((schedule, scene.schedule_reason(role)), (cancel, scene.cancel_reason(role))):
            if reason is not None:
                expect(scene.world, build(scene.world, role, scene.change), getattr(scene.world, role), reason)
            else:
                allowed.append(partial(do, build, role))
    if kind == "admin":
        direct = vault.apply(PROGRAM, change=scene.change)
        attack_with(scene.world, direct, [scene.world.market_maker], VaultError.INVALID_CHANGE)
        for role in ROLES:
            key: Keypair = getattr(scene.world, role)
            uninvited = vault.accept_admin(PROGRAM, new_admin=key.pubkey())
            attack_with(scene.world, uninvited, [key], VaultError.NOT_SCHEDULED)
        apply_it(scene, scene.apply_reason())
    elif scene.apply_reason() is not None:
        apply_it(scene, scene.apply_reason())
    else:
        allowed.append(lambda s: apply_it(s, None))
    for go in allowed:
        go(scene_of(kind, state, moment))


def apply_it(scene: Scene, reason: VaultError | None) -> None:
    world = scene.world
    if isinstance(scene.change, vault.SetAdmin):
        key = heir(world)
        instruction, signer = vault.accept_admin(PROGRAM, new_admin=key.pubkey()), key
    else:
        instruction, signer = vault.apply(PROGRAM, change=scene.change), world.market_maker
    expect(world, instruction, signer, reason)
    if reason is None:
        assert not world.config().proposals
        took_effect(world, scene.change)


def took_effect(world: World, change: Change) -> None:
    config = world.config()
    match change:
        case vault.AddBotAuthority(key):
            assert key in {entry.key for entry in config.bot_authorities}
        case vault.AllowProgram(program):
            assert program in config.swap_programs
        case vault.SetGuardian(guardian):
            assert config.guardian == guardian
        case vault.SetAdmin(admin):
            assert config.admin == admin
        case vault.LowerDelay(delay_s):
            assert config.delay_s == delay_s
        case vault.Unpause():
            assert not config.paused


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
def test_pausing_and_resuming_by_everybody(role: str, paused: bool, wanted: bool) -> None:
    world = configured_world()
    if paused:
        world.send([vault.set_paused(PROGRAM, authority=world.guardian.pubkey(), paused=True)], [world.guardian])
    key: Keypair = getattr(world, role)
    order = vault.set_paused(PROGRAM, authority=key.pubkey(), paused=wanted)
    if role == "admin" or (role == "guardian" and wanted):
        world.send([order], [key])
        assert world.config().paused is wanted
    else:
        attack_with(world, order, [key], VaultError.NOT_ADMIN)


@pytest.mark.parametrize("role", ROLES)
def test_removals_and_the_delay_by_everybody(role: str) -> None:
    world = configured_world()
    key: Keypair = getattr(world, role)
    higher = vault.raise_delay(PROGRAM, admin=key.pubkey(), delay_s=DELAY_S + 1)
    retire = vault.retire_authority(PROGRAM, authority=key.pubkey(), key=world.bot.pubkey())
    remove = vault.remove_program(PROGRAM, authority=key.pubkey(), removed=world.config().swap_programs[0])
    expect(world, higher, key, None if role == "admin" else VaultError.NOT_ADMIN)
    for removal in (retire, remove):
        expect(world, removal, key, None if role in ("admin", "guardian") else VaultError.NOT_ADMIN)
        if role in ("admin", "guardian"):
            attack_with(world, removal, [key], VaultError.NOT_ACTIVE)


def test_a_pause_survives_what_was_changed_during_it_until_the_lock_has_passed_again() -> None:
    world = configured_world()
    change = vault.AddBotAuthority(NEW)
    world.send([schedule(world, "admin", change)], [world.admin])
    world.send([vault.set_paused(PROGRAM, authority=world.guardian.pubkey(), paused=True)], [world.guardian])
    pass_time(world, DELAY_S)
    world.send([vault.apply(PROGRAM, change=change)], [world.market_maker])
    resume = vault.set_paused(PROGRAM, authority=world.admin.pubkey(), paused=False)
    attack_with(world, resume, [world.admin], VaultError.UNPAUSE_LOCKED)
    # Pausing again does not make the change look old.
    world.send([vault.set_paused(PROGRAM, authority=world.admin.pubkey(), paused=True)], [world.admin])
    attack_with(world, resume, [world.admin], VaultError.UNPAUSE_LOCKED)
    unpause = vault.Unpause(world.config().changes)
    world.send([schedule(world, "admin", unpause)], [world.admin])
    attack_with(world, vault.apply(PROGRAM, change=unpause), [world.admin], VaultError.NOT_DUE)
    pass_time(world, DELAY_S)
    world.send([vault.apply(PROGRAM, change=unpause)], [world.market_maker])
    assert not world.config().paused


def test_a_lowered_delay_does_not_hasten_what_waits_already() -> None:
    world = configured_world()
    for change in (vault.LowerDelay(1), vault.AddBotAuthority(NEW)):
        world.send([schedule(world, "admin", change)], [world.admin])
        pass_time(world, 10)
    pass_time(world, DELAY_S - 20)
    world.send([vault.apply(PROGRAM, change=vault.LowerDelay(1))], [world.admin])
    attack_with(world, vault.apply(PROGRAM, change=vault.AddBotAuthority(NEW)), [world.admin], VaultError.NOT_DUE)
    pass_time(world, 10)
    world.send([vault.apply(PROGRAM, change=vault.AddBotAuthority(NEW))], [world.admin])


def test_places_run_out_and_come_back() -> None:
    world = configured_world()
    changes = [vault.AllowProgram(Pubkey(labelled(f"program {number}"))) for number in range(7)]
    for change in changes[:6]:
        world.send([schedule(world, "admin", change)], [world.admin])
    attack_with(world, schedule(world, "admin", changes[6]), [world.admin], VaultError.NO_PLACE)
    world.send([cancel(world, "guardian", changes[0])], [world.guardian])
    # A veto is remembered in its place.
    attack_with(world, schedule(world, "admin", changes[6]), [world.admin], VaultError.NO_PLACE)
    world.send([cancel(world, "admin", changes[0])], [world.admin])
    world.send([schedule(world, "admin", changes[6])], [world.admin])
    pass_time(world, DELAY_S)
    for change in changes[1:4]:
        world.send([vault.apply(PROGRAM, change=change)], [world.admin])
    attack_with(world, vault.apply(PROGRAM, change=changes[4]), [world.admin], VaultError.NO_PLACE)


def test_a_scheduled_change_that_has_come_true_meanwhile_is_not_applied_twice() -> None:
    world = configured_world()
    removed = world.config().swap_programs[0]
    for change in (vault.AllowProgram(removed), vault.SetGuardian(world.guardian.pubkey())):
        attack_with(world, schedule(world, "admin", change), [world.admin], VaultError.INVALID_CHANGE)
    with pytest.raises(Refused):
        world.send([schedule(world, "admin", vault.AddBotAuthority(world.bot.pubkey()))], [world.admin])
