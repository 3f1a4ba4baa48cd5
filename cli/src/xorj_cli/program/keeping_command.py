"""The verbs of `xorj program` that configure it: arguments in, one transaction, one end."""

from typing import Annotated

import typer

from xorj_cli.program.cluster import Where
from xorj_cli.program.configuring import InitWish, init, show_init
from xorj_cli.program.keeping import Act, ChangeKind, KeepWish, keep, show_kept
from xorj_cli.program.options import Genesis, Json, Payer, ProgramId, Rpc, SignerKey, UpgradeKey
from xorj_cli.program.running import run_verb

app = typer.Typer()
Change = Annotated[ChangeKind, typer.Argument(help="What is to change.")]
Value = Annotated[str | None, typer.Argument(help="The address, or the seconds of a delay.")]
Address = Annotated[str, typer.Argument(help="Its address.")]


@app.command("init")
def init_command(
    authority: UpgradeKey,
    admin: Annotated[str, typer.Option("--admin", help="Address of who may change the configuration.")],
    guardian: Annotated[str, typer.Option("--guardian", help="Address of who may pause, cancel and retire.")],
    delay: Annotated[int, typer.Option("--delay", help="Seconds that additions to the configuration wait.")],
    bots: Annotated[list[str] | None, typer.Option("--bot", help="A key that may sign trades; repeatable.")] = None,
    swap_programs: Annotated[
        list[str] | None, typer.Option("--swap-program", help="A program that trades may go through; repeatable.")
    ] = None,
    rpc: Rpc = None,
    genesis: Genesis = None,
    program: ProgramId = None,
    payer: Payer = None,
    as_json: Json = False,
) -> None:
    """Configure the program, once. The same command again succeeds and changes nothing."""
    wish = InitWish(authority, payer, admin, guardian, tuple(swap_programs or ()), tuple(bots or ()), delay)
    run_verb(lambda: init(Where(rpc, genesis, program), wish), show_init, as_json=as_json)


@app.command("schedule")
def schedule_command(
    change: Change,
    key: SignerKey,
    value: Value = None,
    rpc: Rpc = None,
    genesis: Genesis = None,
    program: ProgramId = None,
    as_json: Json = False,
) -> None:
    """Schedule a change, as the admin: it waits out the delay, then `apply` (or `accept-admin`) makes it."""
    _keep(Where(rpc, genesis, program), KeepWish(Act.SCHEDULE, key, value, change), as_json=as_json)


@app.command("cancel")
def cancel_command(
    change: Change,
    key: SignerKey,
    value: Value = None,
    rpc: Rpc = None,
    genesis: Genesis = None,
    program: ProgramId = None,
    as_json: Json = False,
) -> None:
    """Cancel a scheduled change, as the admin or, once per change, as the guardian."""
    _keep(Where(rpc, genesis, program), KeepWish(Act.CANCEL, key, value, change), as_json=as_json)


@app.command("apply")
def apply_command(
    change: Change,
    key: SignerKey,
    value: Value = None,
    rpc: Rpc = None,
    genesis: Genesis = None,
    program: ProgramId = None,
    as_json: Json = False,
) -> None:
    """Make a change that is due. Anybody may; the key only pays the fee."""
    _keep(Where(rpc, genesis, program), KeepWish(Act.APPLY, key, value, change), as_json=as_json)


@app.command("accept-admin")
def accept_admin_command(
    key: SignerKey, rpc: Rpc = None, genesis: Genesis = None, program: ProgramId = None, as_json: Json = False
) -> None:
    """Become the admin, as the one who was scheduled, when that is due."""
    _keep(Where(rpc, genesis, program), KeepWish(Act.ACCEPT_ADMIN, key), as_json=as_json)


@app.command("retire")
def retire_command(
    bot: Address,
    key: SignerKey,
    rpc: Rpc = None,
    genesis: Genesis = None,
    program: ProgramId = None,
    as_json: Json = False,
) -> None:
    """Take a bot authority out at once, as admin or guardian."""
    _keep(Where(rpc, genesis, program), KeepWish(Act.RETIRE, key, bot), as_json=as_json)


@app.command("remove")
def remove_command(
    swap_program: Address,
    key: SignerKey,
    rpc: Rpc = None,
    genesis: Genesis = None,
    program: ProgramId = None,
    as_json: Json = False,
) -> None:
    """Take a swap program out at once, as admin or guardian."""
    _keep(Where(rpc, genesis, program), KeepWish(Act.REMOVE, key, swap_program), as_json=as_json)


@app.command("raise-delay")
def raise_delay_command(
    seconds: Annotated[int, typer.Argument(min=1, help="The longer delay.")],
    key: SignerKey,
    rpc: Rpc = None,
    genesis: Genesis = None,
    program: ProgramId = None,
    as_json: Json = False,
) -> None:
    """Make additions wait longer from now on, as the admin. A shorter delay is scheduled: `schedule lower-delay`."""
    _keep(Where(rpc, genesis, program), KeepWish(Act.RAISE_DELAY, key, str(seconds)), as_json=as_json)


@app.command("pause")
def pause_command(
    key: SignerKey, rpc: Rpc = None, genesis: Genesis = None, program: ProgramId = None, as_json: Json = False
) -> None:
    """Stop every trade on chain at once, as admin or guardian; needs no broker. Owners can withdraw all the same."""
    _keep(Where(rpc, genesis, program), KeepWish(Act.PAUSE, key), as_json=as_json)


@app.command("unpause")
def unpause_command(
    key: SignerKey, rpc: Rpc = None, genesis: Genesis = None, program: ProgramId = None, as_json: Json = False
) -> None:
    """Let trades go on, as the admin.

    After additions since the pause it is scheduled: `schedule unpause`. Not while an addition or a shorter delay waits.
    """
    _keep(Where(rpc, genesis, program), KeepWish(Act.UNPAUSE, key), as_json=as_json)


@app.command("disable")
def disable_command(
    vault: Address,
    key: SignerKey,
    rpc: Rpc = None,
    genesis: Genesis = None,
    program: ProgramId = None,
    as_json: Json = False,
) -> None:
    """Stop the bot in one vault at once, as its owner, admin or guardian; only its owner lets it in again."""
    _keep(Where(rpc, genesis, program), KeepWish(Act.DISABLE, key, vault), as_json=as_json)


def _keep(where: Where, wish: KeepWish, *, as_json: bool) -> None:
    run_verb(lambda: keep(where, wish), show_kept, as_json=as_json)
