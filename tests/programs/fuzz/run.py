"""Runs a sequence on the virtual machine and on the model, and raises `Disagreement` at the first difference.

1. Success and refusal agree, down to the program's number.
2. After every step, refused or not, chain and model agree in everything (`observe`).
3. Whatever the model says: a vault loses tokens only by its owner's signed withdrawal or by a trade, and by a trade at
   most the order's maximum, against at least its minimum of the other mint.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from xorj_solana.vault import VaultError

from tests.programs.fuzz import actions as a
from tests.programs.fuzz.build import ask, is_confused, message_of
from tests.programs.fuzz.choice import Chooser
from tests.programs.fuzz.generate import draw, draw_mood
from tests.programs.fuzz.observe import differences, vault_money
from tests.programs.fuzz.world import FuzzWorld, start
from tests.programs.model import Holder, Model, Place
from tests.programs.model_config import Elsewhere, ModelRefusal

Outcome = VaultError | Elsewhere | None


class Disagreement(AssertionError):
    """The program and the model differ, or value left a vault unlawfully."""


@dataclass(slots=True)
class Tally:
    """What a run met: instructions and how they ended."""

    steps: int = 0
    succeeded: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def count(self, action: a.Action, outcome: Outcome) -> None:
        self.steps += 1
        name = type(action).__name__
        if outcome is None:
            self.succeeded[name] += 1
        else:
            self.refused[name] += 1
            self.errors[outcome.name] += 1


def run_drawn(chooser: Chooser, length: int, tally: Tally, elf: bytes | None = None) -> list[a.Step]:
    """Draws and runs `length` steps; returns them, those up to the failure when it raises."""
    world, model = start(elf)
    steps: list[a.Step] = []
    mood = draw_mood(chooser)
    for _ in range(length):
        step = draw(chooser, mood, model, world.now)
        steps.append(step)
        try:
            take(world, model, step, tally)
        except Disagreement as error:
            raise Failed(steps, str(error)) from error
    return steps


class Failed(AssertionError):
    """A sequence that ended in a disagreement."""

    def __init__(self, steps: Sequence[a.Step], reason: str) -> None:
        self.steps = list(steps)
        self.reason = reason
        super().__init__(f"{reason}\nafter:\n" + "\n".join(f"  {step}" for step in steps))


def replay(steps: Sequence[a.Step], elf: bytes | None = None) -> None:
    """Runs given steps from the start; raises `Failed`."""
    world, model = start(elf)
    for at, step in enumerate(steps):
        try:
            take(world, model, step, Tally())
        except Disagreement as error:
            raise Failed(steps[: at + 1], str(error)) from error


def fails(steps: Sequence[a.Step], elf: bytes | None = None) -> bool:
    try:
        replay(steps, elf)
    except Failed:
        return True
    return False


def take(world: FuzzWorld, model: Model, step: a.Step, tally: Tally) -> None:
    """One step on both; raises `Disagreement`."""
    action = step.action if isinstance(step, a.Unsigned) else step
    if isinstance(action, a.Warp):
        world.warp(action.slots, action.seconds)
        tally.count(action, None)
        return
    message = message_of(world, model, step)
    assert message is not None
    before = vault_money(world)
    seen = world.send(message)
    if isinstance(step, a.Unsigned) or (isinstance(action, a.Trade) and is_confused(model, action, world.now)):
        # More than one thing may be wrong: refused is all that is asked, and that nothing changed.
        if seen is None:
            raise Disagreement(f"{step} succeeded")
    else:
        expected: Outcome = None
        try:
            ask(model, action, world.now)
        except ModelRefusal as refusal:
            expected = refusal.reason
        if seen is not expected:
            raise Disagreement(f"{step} ended with {name(seen)}, the model says {name(expected)}")
    _check_value(action, seen, before, vault_money(world))
    found = differences(world, model)
    if found:
        raise Disagreement(f"{step} ended with {name(seen)}; " + "; ".join(found))
    tally.count(action, seen)


def name(outcome: Outcome) -> str:
    return "success" if outcome is None else outcome.name


def _check_value(action: a.Action, seen: Outcome, before: dict[Place, int], after: dict[Place, int]) -> None:
    for place, had in before.items():
        lost = had - after[place]
        if lost > 0 and not (seen is None and _may_lose(action, place, lost, before, after)):
            raise Disagreement(f"{action}: {place} lost {lost}")


def _may_lose(action: a.Action, place: Place, lost: int, before: dict[Place, int], after: dict[Place, int]) -> bool:
    """Whether a successful action may take this from an account of a vault or a hand."""
    match action:
        case a.Withdraw(signer, owner, mint):
            return place == Place(Holder.VAULT, owner, mint) and signer == owner
        case a.CloseMint(signer, owner, mint):
            return place == Place(Holder.HAND, owner, mint) and signer == owner
        case a.Trade() if place.who == action.owner and place.holder is Holder.HAND:
            return place.mint in (action.mint_in, action.mint_out)
        case a.Trade() if place == Place(Holder.VAULT, action.owner, action.mint_in):
            bought = Place(Holder.VAULT, action.owner, action.mint_out)
            return lost <= action.amount and after[bought] - before[bought] >= action.minimum
        case _:
            return False
