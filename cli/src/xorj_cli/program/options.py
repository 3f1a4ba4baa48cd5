"""Options that several verbs of `xorj program` share."""

from pathlib import Path
from typing import Annotated

import typer

from xorj_cli.program.built import VAULT_ELF

Rpc = Annotated[
    str | None,
    typer.Option("--rpc", envvar="XORJ_RPC_URL", help="RPC endpoint; the running local world's when not given."),
]
Genesis = Annotated[
    str | None,
    typer.Option("--cluster-genesis", envvar="XORJ_GENESIS_HASH", help="Genesis hash of the cluster that is meant."),
]
ProgramId = Annotated[
    str | None, typer.Option("--program", envvar="XORJ_VAULT_PROGRAM", help="Address of the program.")
]
ElfFile = Annotated[Path, typer.Option("--elf", help="The built program.", show_default=False)]
Payer = Annotated[Path | None, typer.Option("--payer", help="Key file of who pays, if not the one who signs.")]
UpgradeKey = Annotated[Path, typer.Option("--authority", help="Key file of the upgrade authority.")]
SignerKey = Annotated[Path, typer.Option("--key", help="Key file of who signs: admin, guardian, or whom it concerns.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]

ELF = VAULT_ELF
