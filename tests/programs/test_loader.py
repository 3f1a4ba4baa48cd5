"""States of the upgradeable loader's accounts: read strictly, whatever an endpoint returns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey
from xorj_solana import loader, rollout
from xorj_solana.deploy import deployment
from xorj_solana.programs import UPGRADEABLE_LOADER
from xorj_solana.rollout import Kind, NotDeployable, Rent, Seen, Target
from xorj_solana.rpc.results import Account
from xorj_solana.tokens import MalformedAccount

AUTHORITY, PROGRAM = Pubkey(bytes([1]) * 32), Pubkey(bytes([2]) * 32)
ELF = b"\x7fELF" + bytes(range(256)) * 8
RENT = Rent(buffer=900, program=100, data=1_000, wallet=10)


def seen(elf: bytes, authority: Pubkey | None = AUTHORITY) -> Seen:
    """A program deployed with these bytes."""
    (_, data), (_, head) = deployment(PROGRAM, elf, authority, slot=7, lamports=1_000)
    program, code = (Account(one.lamports, one.owner, bytes(one.data), one.executable) for one in (head, data))
    return Seen(program, code, None)


def test_what_the_loader_keeps_is_read_back() -> None:
    deployed = seen(ELF)
    assert deployed.program_data is not None
    assert loader.parse_state(deployed.program_data.data) == loader.ProgramData(7, AUTHORITY, ELF)
    assert loader.parse_state(loader.buffers_of(AUTHORITY) + ELF) == loader.Buffer(AUTHORITY, ELF)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_state_or_malformed(data: bytes) -> None:
    try:
        state = loader.parse_state(data)
    except MalformedAccount:
        return
    assert state is None or isinstance(state, loader.Buffer | loader.Program | loader.ProgramData)


@given(st.binary(min_size=1, max_size=3_000), st.binary(min_size=1, max_size=3_000), st.integers(1, 1_000))
def test_writing_the_missing_chunks_makes_the_buffer_the_program(written: bytes, wanted: bytes, chunk_len: int) -> None:
    target = Target(PROGRAM, wanted, AUTHORITY, AUTHORITY, len(wanted))
    before = written[: len(wanted)].ljust(len(wanted), b"\0")
    stored = Account(5, UPGRADEABLE_LOADER, loader.buffers_of(AUTHORITY) + before, executable=False)
    plan = rollout.plan(target, Seen(None, None, stored), RENT, chunk_len)
    buffer = bytearray(before)
    for at, chunk in plan.missing:
        assert bytes(buffer[at : at + len(chunk)]) != chunk, "a chunk is written that stands there already"
        buffer[at : at + len(chunk)] = chunk
    assert bytes(buffer) == wanted


def test_a_program_that_nobody_may_upgrade_is_left_alone() -> None:
    target = Target(PROGRAM, ELF + b"new", AUTHORITY, AUTHORITY, len(ELF))
    with pytest.raises(NotDeployable, match="nobody may upgrade"):
        rollout.plan(target, seen(ELF, authority=None), RENT, 1_000)


def test_a_closed_program_is_told() -> None:
    deployed = seen(ELF)
    with pytest.raises(NotDeployable, match="never be used again"):
        rollout.plan(
            Target(PROGRAM, ELF, AUTHORITY, AUTHORITY, len(ELF)), Seen(deployed.program, None, None), RENT, 1_000
        )


def test_a_buffer_of_another_length_or_authority_is_not_written_to() -> None:
    target = Target(PROGRAM, ELF, AUTHORITY, AUTHORITY, len(ELF))
    for foreign in (loader.buffers_of(AUTHORITY) + ELF + b"?", loader.buffers_of(PROGRAM) + ELF):
        stored = Account(5, UPGRADEABLE_LOADER, foreign, executable=False)
        with pytest.raises(NotDeployable) as refused:
            rollout.plan(target, Seen(None, None, stored), RENT, 1_000)
        assert refused.value.code == "foreign_buffer"


def test_old_code_after_the_new_is_not_the_same_program() -> None:
    target = Target(PROGRAM, ELF, AUTHORITY, AUTHORITY, len(ELF))
    assert rollout.plan(target, seen(ELF + b"\0" * 9), RENT, 1_000).kind is Kind.ALREADY
    assert rollout.plan(target, seen(ELF + b"\0" * 9 + b"\1"), RENT, 1_000).kind is Kind.UPGRADE


def test_the_buffers_address_follows_from_authority_program_and_bytes() -> None:
    places = {
        Target(program, elf, authority, authority, 1).buffer
        for program in (PROGRAM, AUTHORITY)
        for elf in (ELF, ELF + b"\0")
        for authority in (PROGRAM, AUTHORITY)
    }
    assert len(places) == 8
