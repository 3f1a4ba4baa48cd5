"""`python -m tests.programs.fuzz N [SEED] [ELF]`: N random steps against the model, in sequences that start afresh.

Prints the seed first, a line of progress every ten seconds, and what was met at the end, or so far when interrupted. A
disagreement is shrunk to the shortest sequence that shows it, printed, and ends the run with 1. Memory does not grow
with N.
"""

import hashlib
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import TextIO

from tests.programs.fuzz.choice import Seeded
from tests.programs.fuzz.run import Failed, Tally, fails, replay, run_drawn
from tests.programs.fuzz.shrink import shrink
from tests.programs.svm_world import BUILT

LENGTH = 120
PROGRESS_S = 10


def main(arguments: list[str]) -> int:
    count = int(arguments[0])
    seed = int(arguments[1]) if len(arguments) > 1 and arguments[1] else secrets.randbelow(2**32)
    # Read once: the whole run tries one program, whatever is built meanwhile.
    elf = (Path(arguments[2]) if len(arguments) > 2 else BUILT / "vault.so").read_bytes()
    say(f"seed {seed}, {count} steps, program {hashlib.sha256(elf).hexdigest()[:16]}")
    # A shell that starts the run in the background has it ignore this; stopping it is a way to end it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tally, started = Tally(), time.monotonic()
    shown, sequence = started, 0
    while tally.steps < count:
        # A sequence's own seed, so that one of them can be run again alone.
        try:
            run_drawn(Seeded(seed + sequence), min(LENGTH, count - tally.steps), tally, elf)
        except Failed as failure:
            return report(failure, seed + sequence, tally, elf)
        except KeyboardInterrupt:
            break
        sequence += 1
        if time.monotonic() - shown >= PROGRESS_S:
            shown = time.monotonic()
            say(f"{tally.steps} steps, {tally.steps / (shown - started):.0f} a second", to=sys.stderr)
    say(f"{tally.steps} steps in {sequence} sequences, {time.monotonic() - started:.0f} s, no disagreement")
    summarize(tally)
    return 0


def report(failure: Failed, seed: int, tally: Tally, elf: bytes) -> int:
    say(f"disagreement after {tally.steps} steps, in the sequence of seed {seed}: {failure.reason}")
    shortest = shrink(failure.steps, lambda steps: fails(steps, elf))
    say("shortest sequence:")
    try:
        replay(shortest, elf)
    except Failed as error:
        say(str(error))
    summarize(tally)
    return 1


def summarize(tally: Tally) -> None:
    say("instruction: succeeded / refused")
    for name in sorted(tally.succeeded.keys() | tally.refused.keys()):
        say(f"  {name}: {tally.succeeded[name]} / {tally.refused[name]}")
    say("refusals")
    for name, times in tally.errors.most_common():
        say(f"  {name}: {times}")


def say(text: str, *, to: TextIO = sys.stdout) -> None:
    to.write(text + "\n")
    to.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
