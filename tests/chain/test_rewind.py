"""The undo log against a model that keeps a whole copy of every slot; numbers are those of the module."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from xorj_localnet.chain.rewind import UndoLog
from xorj_localnet.chain.slots import BLOCKHASH_WINDOW_BLOCKS, Commitment, Depths, SlotClock, height_of

WRITES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)) | st.none(), max_size=60)


@given(WRITES, st.integers(0, 5))
def test_1_and_2_every_kept_slot_reads_as_it_was(steps: list[tuple[str, int] | None], kept: int) -> None:
    """A step is a write in the slot in progress, or (None) the next slot."""
    log: UndoLog[str, int | None] = UndoLog()
    now: dict[str, int] = {}
    slot = 0
    copies: dict[int, dict[str, int]] = {}
    for step in steps:
        if step is None:
            copies[slot] = dict(now)
            slot += 1
            log.prune(slot - kept - 1)
        else:
            key, value = step
            log.note(key, slot, now.get(key))
            now[key] = value
    copies[slot] = dict(now)
    for then in range(max(0, slot - kept), slot + 1):
        for key in "abc":
            assert log.at(key, then, now.get(key)) == copies[then].get(key)
        changed = {key for key in "abc" if copies[then].get(key) != now.get(key)}
        assert changed <= log.keys_written_after(then)


@given(st.integers(0, 20), st.integers(0, 40), st.integers(0, 400))
def test_a_slot_clock_keeps_its_three_invariants(confirmed: int, more: int, slots: int) -> None:
    clock = SlotClock(30_000_000, b"seed", Depths(confirmed, confirmed + more))
    first = clock.slot
    blockhash = clock.blockhash_of(first)
    for _ in range(slots):
        clock.advance()
    assert clock.slot - height_of(clock.slot) == first - height_of(first) != 0
    assert clock.blockhash_usable(blockhash, clock.slot) is (slots <= BLOCKHASH_WINDOW_BLOCKS)
    processed, settled, final = (clock.at(commitment) for commitment in Commitment)
    assert processed == settled + confirmed == final + confirmed + more
    assert clock.blockhash_of(final)
    assert not clock.blockhash_usable(bytes(32), clock.slot)
