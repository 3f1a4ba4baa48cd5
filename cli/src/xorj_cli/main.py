"""The `xorj` command: runs its verbs and sees to it that every end is told once.

1. With --json exactly one JSON object stands on standard output, also after a wrong argument, Ctrl-C or a defect.
2. A person who presses Ctrl-C never sees a stack trace: what takes long to import is imported where Ctrl-C is caught.
"""

import sys
import traceback

INTERRUPTED = 130
"""What typer makes of Ctrl-C."""

DEFECT_HINT = "this is a defect of xorj; the stack trace is on standard error"


def main() -> int:
    """Entry point of the command; its exit code."""
    as_json = "--json" in sys.argv[1:]
    try:
        return _run(as_json=as_json)
    except KeyboardInterrupt:
        from xorj_cli.output import STOPPED, tell

        tell(STOPPED, as_json=as_json)
        return STOPPED.exit_code
    except Exception as error:  # noqa: BLE001 - the end of the command: told, never swallowed
        from xorj_cli.output import Failure, tell

        traceback.print_exc()
        defect = Failure("defect", f"{type(error).__name__}: {error}", DEFECT_HINT)
        tell(defect, as_json=as_json)
        return defect.exit_code


def _run(*, as_json: bool) -> int:
    import typer
    from typer import rich_utils

    from xorj_cli.commands import app
    from xorj_cli.output import Exit, Failure, tell

    # The public name of typer's usage errors is that of one of them.
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    try:
        ended = app(standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except usage_error as error:
        if as_json:
            hint = "`xorj --help`, or --help after a verb"
            tell(Failure("usage", _message(error), hint, Exit.USAGE), as_json=True)
        else:
            rich_utils.rich_format_error(error)  # type: ignore[arg-type]
        return Exit.USAGE
    if ended == INTERRUPTED:
        raise KeyboardInterrupt
    return ended if isinstance(ended, int) else Exit.OK


def _message(error: Exception) -> str:
    said: str = error.format_message()  # type: ignore[attr-defined]
    return said


if __name__ == "__main__":
    sys.exit(main())
