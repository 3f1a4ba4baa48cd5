"""Random sequences of instructions end as the model says, and value leaves a vault lawfully only."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xorj_solana.vault import VaultError

from tests.programs.fuzz.choice import Drawn, Seeded
from tests.programs.fuzz.run import Tally, run_drawn

SEED = 20_261_122
SEQUENCES, LENGTH = 40, 120

# Refusals that a short run need not meet.
OUT_OF_REACH = {
    VaultError.UNKNOWN_INSTRUCTION, VaultError.MALFORMED_DATA, VaultError.WRONG_ACCOUNTS,
    VaultError.CALLED_BY_ANOTHER_PROGRAM,  # every instruction is well-formed and top-level
    VaultError.NOT_UPGRADE_AUTHORITY, VaultError.INVALID_CONFIGURATION,  # the configuration is there already
    VaultError.OVERFLOW, VaultError.LAMPORTS_LOWER,  # tests/programs/test_attacks_data.py, test_hostile_swap.py
    VaultError.TOO_MUCH_IN, VaultError.VAULT_CHANGED_DURING_SWAP,  # no known way
    VaultError.NO_PLACE, VaultError.UNPAUSE_LOCKED, VaultError.WRONG_TRADE_AUTHORITY, VaultError.WRONG_MINT,  # rare
}  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_short_sequence_ends_as_the_model_says(data: st.DataObject) -> None:
    run_drawn(Drawn(data), 25, Tally())


def test_long_sequences_end_as_the_model_says_and_meet_every_rule() -> None:
    tally = Tally()
    for number in range(SEQUENCES):
        print(f"seed {SEED + number}")  # noqa: T201
        run_drawn(Seeded(SEED + number), LENGTH, tally)
    assert tally.steps == SEQUENCES * LENGTH
    assert tally.succeeded["Trade"] > 100, tally
    missed = {error.name for error in VaultError if error not in OUT_OF_REACH} - tally.errors.keys()
    assert not missed, f"refusals that were never met: {missed}"
    never = {name for name in tally.refused if not tally.succeeded[name]}
    assert not never, f"instructions that never succeeded: {never}"
