"""The verbs of `xorj program`: arguments in, one verb run, one end."""

from pathlib import Path
from typing import Annotated

import typer

from xorj_cli.output import Exit, stdout
from xorj_cli.program.buffers import BuffersWish, buffers, show_buffers
from xorj_cli.program.built import build, show_build
from xorj_cli.program.cluster import Where
from xorj_cli.program.deploying import DeployWish, deploy, show_deploy
from xorj_cli.program.keeping_command import app as keeping_app
from xorj_cli.program.keypairs import make_keypair
from xorj_cli.program.options import ELF, ElfFile, Genesis, Json, Payer, ProgramId, Rpc, UpgradeKey
from xorj_cli.program.owning import GiveWish, give, show_give
from xorj_cli.program.running import Result, run_verb
from xorj_cli.program.showing import show, show_program
from xorj_cli.program.verifying import show_verify, verify

app = typer.Typer(no_args_is_help=True, help="The vault program: build, deploy, configure, verify, show.")
app.add_typer(keeping_app)


@app.command("build")
def build_command(
    check: Annotated[bool, typer.Option("--check", help="Build aside and compare with what is there.")] = False,
    as_json: Json = False,
) -> None:
    """Compile the on-chain programs and show their hashes."""
    run_verb(lambda: build(check=check), show_build, as_json=as_json)


@app.command("key")
def key_command(file: Annotated[Path, typer.Argument(help="Where to write it.")], as_json: Json = False) -> None:
    """Make a key pair in a new file that only you can read, and show its address."""

    async def made() -> Result:
        return {"ok": True, "file": str(file), "address": str(make_keypair(file).pubkey())}, Exit.OK

    run_verb(made, lambda body: stdout.print(f"{body['address']} in {body['file']}"), as_json=as_json)


@app.command("deploy")
def deploy_command(
    authority: UpgradeKey,
    rpc: Rpc = None,
    genesis: Genesis = None,
    program: ProgramId = None,
    elf: ElfFile = ELF,
    payer: Payer = None,
    program_key: Annotated[
        Path | None, typer.Option("--program-key", help="The program's own key file; only for its first deployment.")
    ] = None,
    upgrade_authority: Annotated[
        str | None,
        typer.Option("--upgrade-authority", help="Address of another upgrade authority: fill a buffer for it."),
    ] = None,
    room: Annotated[
        int | None, typer.Option("--room", min=1, help="Bytes of code to make room for at the first deployment.")
    ] = None,
    unit_price: Annotated[
        int | None, typer.Option("--unit-price", min=0, help="Micro-lamports per compute unit; else by recent slots.")
    ] = None,
    in_flight: Annotated[int, typer.Option("--in-flight", min=1, max=256, help="Transactions under way at once.")] = 32,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; send nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Deploy or upgrade. When it was interrupted, the same command again goes on where it stopped."""
    wish = DeployWish(elf, authority, payer, program_key, upgrade_authority, room, unit_price, in_flight, dry_run)
    where = Where(rpc, genesis, program)
    run_verb(lambda: deploy(where, wish, show_progress=not as_json), show_deploy, as_json=as_json)


@app.command("verify")
def verify_command(
    expected_authority: Annotated[
        str, typer.Option("--expected-authority", help="Who alone may upgrade it: an address, or none.")
    ],
    rpc: Rpc = None,
    genesis: Genesis = None,
    program: ProgramId = None,
    elf: ElfFile = ELF,
    as_json: Json = False,
) -> None:
    """Does the chain run exactly the built bytes, and may only the expected authority change them?"""
    where = Where(rpc, genesis, program)
    run_verb(lambda: verify(where, elf, expected_authority), show_verify, as_json=as_json)


@app.command("give")
def give_command(
    authority: UpgradeKey,
    to_key: Annotated[Path | None, typer.Option("--to-key", help="Key file of the new upgrade authority.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Address of one that cannot sign here: a multisig.")] = None,
    again: Annotated[str | None, typer.Option("--again", help="That address once more.")] = None,
    rpc: Rpc = None,
    genesis: Genesis = None,
    program: ProgramId = None,
    payer: Payer = None,
    as_json: Json = False,
) -> None:
    """Give the right to upgrade the program to another authority."""
    wish = GiveWish(authority, payer, to_key, to, again)
    run_verb(lambda: give(Where(rpc, genesis, program), wish), show_give, as_json=as_json)


@app.command("show")
def show_command(rpc: Rpc = None, genesis: Genesis = None, program: ProgramId = None, as_json: Json = False) -> None:
    """The program, its configuration, and what is scheduled to change and when."""
    run_verb(lambda: show(Where(rpc, genesis, program)), show_program, as_json=as_json)


@app.command("buffers")
def buffers_command(
    authority: UpgradeKey,
    rpc: Rpc = None,
    genesis: Genesis = None,
    payer: Payer = None,
    close: Annotated[list[str] | None, typer.Option("--close", help="A buffer to close; repeatable.")] = None,
    close_all: Annotated[bool, typer.Option("--close-all", help="Close every buffer of this authority.")] = False,
    recipient: Annotated[str | None, typer.Option("--recipient", help="Who gets the rent; else who pays.")] = None,
    as_json: Json = False,
) -> None:
    """List what unfinished deployments left behind, and get its rent back."""
    wish = BuffersWish(authority, payer, tuple(close or ()), close_all, recipient)
    run_verb(lambda: buffers(Where(rpc, genesis), wish), show_buffers, as_json=as_json)
