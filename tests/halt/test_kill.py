"""The kill switch's fold; test names follow the invariants of xorj_core.kill."""

from hypothesis import given
from hypothesis import strategies as st
from xorj_core.facts import HaltScope, KillCommanded
from xorj_core.facts.heartbeats import HaltState
from xorj_core.kill import KillState, apply_kill, apply_not_understood, halt_state, kill_of, read_up_to

VAULTS = [bytes([n]) * 32 for n in range(3)]

commands = st.builds(
    KillCommanded,
    command_id=st.integers(0, 5).map(lambda n: bytes([n]) * 16),
    scope=st.sampled_from(HaltScope),
    vault=st.sampled_from([b"", *VAULTS]),
    reason=st.text(max_size=5),
    issued_at_us=st.integers(0, 2**63),
    key_id=st.binary(min_size=8, max_size=8),
    signature=st.just(b""),
)


def folded(history: list[KillCommanded]) -> KillState:
    state = KillState()
    for offset, command in enumerate(history):
        state = read_up_to(apply_kill(state, command, "operator", offset), offset + 1, at_end=False)
    return state


@given(st.lists(commands, min_size=1))
def test_1_every_command_counts_whatever_its_time(history: list[KillCommanded]) -> None:
    state = folded(history)
    assert {kill.command_id for kill in state.kills} == {command.command_id for command in history}


@given(st.lists(commands), st.data())
def test_2_repeats_and_replays_change_nothing(history: list[KillCommanded], data: st.DataObject) -> None:
    state = folded(history)
    replayed = data.draw(st.lists(st.sampled_from(history))) if history else []
    for command in replayed:
        assert apply_kill(state, command, "someone", 99) == state


def test_3_a_signed_record_that_is_not_understood_kills_everything_once() -> None:
    state = apply_not_understood(KillState(), b"later", "unknown fact type", "operator", 4)
    assert all(kill_of(state, vault) for vault in (None, *VAULTS))
    assert apply_not_understood(state, b"later", "again", "operator", 5) == state
    assert len(apply_not_understood(state, b"other", "unknown", "operator", 5).kills) == 2


@given(commands)
def test_4_a_kill_covers_one_vault_only_if_it_says_so_clearly(command: KillCommanded) -> None:
    state = apply_kill(KillState(), command, "operator", 0)
    one_vault = command.scope is HaltScope.VAULT and command.vault != b""
    assert (kill_of(state, None) is None) == one_vault
    for vault in VAULTS:
        assert (kill_of(state, vault) is not None) == (not one_vault or command.vault == vault)


@given(st.lists(commands), st.lists(commands))
def test_5_nothing_ends_a_kill(before: list[KillCommanded], after: list[KillCommanded]) -> None:
    assert set(folded(before).kills) <= set(folded(before + after).kills)


def test_6_blocked_until_control_is_read_to_its_end_and_armed_from_then_on() -> None:
    state = read_up_to(KillState(), 5, at_end=False)
    assert halt_state(state) is HaltState.BLOCKED
    state = read_up_to(state, 7, at_end=True)
    assert halt_state(state) is HaltState.ARMED
    state = read_up_to(state, 6, at_end=False)
    assert (state.next_offset, halt_state(state)) == (7, HaltState.ARMED)


def test_a_kill_of_one_vault_leaves_the_instance_armed_and_one_of_everything_triggers_it() -> None:
    state = read_up_to(KillState(), 0, at_end=True)
    one = KillCommanded(bytes(16), HaltScope.VAULT, VAULTS[0], "", 0, bytes(8), b"")
    state = apply_kill(state, one, "operator", 0)
    assert halt_state(state) is HaltState.ARMED
    everything = KillCommanded(bytes([1]) * 16, HaltScope.EVERYTHING, b"", "", 0, bytes(8), b"")
    assert halt_state(apply_kill(state, everything, "operator", 1)) is HaltState.TRIGGERED
