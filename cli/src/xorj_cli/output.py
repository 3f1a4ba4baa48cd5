"""What the command says and how it ends: one JSON object or text on standard output, everything else on standard error.

Exit codes: 0 ok, 1 check failed, 2 usage, 3 unreachable or cannot tell, 4 halted.
"""

import json
import sys
from enum import IntEnum
from typing import Any, Final, NoReturn

import typer
from rich.console import Console

stdout = Console(highlight=False, soft_wrap=True)
stderr = Console(stderr=True, highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """How the command ends."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    CANNOT_TELL = 3
    HALTED = 4


class Failure(Exception):
    """The command cannot go on; `hint` says what to do."""

    def __init__(self, code: str, message: str, hint: str, exit_code: Exit = Exit.CANNOT_TELL) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        self.exit_code = exit_code


def print_json(body: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(body) + "\n")
    sys.stdout.flush()


def tell(failure: Failure, *, as_json: bool) -> None:
    """Say what went wrong."""
    if as_json:
        print_json({"error": {"code": failure.code, "message": str(failure), "hint": failure.hint}})
    stderr.print(f"{failure}\n{failure.hint}", markup=False)


def fail(failure: Failure, *, as_json: bool) -> NoReturn:
    """Say what went wrong and end."""
    tell(failure, as_json=as_json)
    raise typer.Exit(failure.exit_code)


STOPPED: Final = Failure("stopped", "stopped before the end", "run the command again when you like")
