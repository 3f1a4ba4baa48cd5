"""Random sequences of instructions end as the model says, and value leaves a vault lawfully only."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.programs.fuzz.choice import Drawn, Seeded
from tests.programs.fuzz.run import Tally, run_drawn

SEED = 20_261_122
SEQUENCES, LENGTH = 40, 120


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
    never = {name for name in tally.refused if not tally.succeeded[name]}
    assert not never, f"instructions that never succeeded: {never}"
