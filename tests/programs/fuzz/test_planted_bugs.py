"""Each bug that is planted into a copy of the program is found by the fuzzer, within the steps of a short run."""

from pathlib import Path

import pytest

from tests.programs.fuzz.choice import Seeded
from tests.programs.fuzz.planted import PROGRAMS, Bug, StaleBug, bugs, build, plant
from tests.programs.fuzz.run import Failed, Tally, fails, run_drawn
from tests.programs.fuzz.shrink import shrink
from tests.programs.svm_world import BUILT
from tests.programs.test_built import toolchain

SEED = 1
SEQUENCES, LENGTH = 120, 120


def test_every_bug_still_fits_the_sources(tmp_path: Path) -> None:
    planted = bugs()
    assert len({bug.name for bug in planted}) == len(planted) >= 5
    for number, bug in enumerate(planted):
        copy = tmp_path / str(number)
        (copy / bug.file).parent.mkdir(parents=True)
        (copy / bug.file).write_text((PROGRAMS / bug.file).read_text())
        plant(bug, copy)
        assert (copy / bug.file).read_text() != (PROGRAMS / bug.file).read_text()
        with pytest.raises(StaleBug):
            plant(bug, copy)


def run_many(elf: bytes, tally: Tally) -> None:
    for number in range(SEQUENCES):
        run_drawn(Seeded(SEED + number), LENGTH, tally, elf)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", bugs(), ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug, tmp_path: Path) -> None:
    toolchain()
    elf = build(bug, tmp_path)
    assert elf != (BUILT / "vault.so").read_bytes()
    tally = Tally()
    with pytest.raises(Failed) as found:
        run_many(elf, tally)
    shortest = shrink(found.value.steps, lambda steps: fails(steps, elf))
    print(f"seed {SEED}: found after {tally.steps} steps, {len(shortest)} of them suffice:")  # noqa: T201
    print(*shortest, sep="\n")  # noqa: T201
    assert fails(shortest, elf)
    assert not fails(shortest), "the program as it is agrees with the model on the same sequence"
