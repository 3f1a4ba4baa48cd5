"""`xorj program buffers`: what is left of deployments that were not finished, and getting its rent back."""

from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from xorj_solana.deployer import close_buffers, leftover_buffers
from xorj_solana.landing import Lander

from xorj_cli.output import Exit, Failure, stdout
from xorj_cli.program.cluster import Where, address, on_cluster, sol, unit_price
from xorj_cli.program.keypairs import load_keypair
from xorj_cli.program.running import Body, Result


@dataclass(frozen=True, slots=True)
class BuffersWish:
    """Whose buffers; which to close: those named, or all; who gets the lamports (by default the payer)."""

    authority: Path
    payer: Path | None
    close: tuple[str, ...]
    close_all: bool
    recipient: str | None


async def buffers(where: Where, wish: BuffersWish) -> Result:
    """Lists the authority's buffers and closes what was asked for. Raises `Failure`, `LandingFailed`, `RpcError`."""
    authority = load_keypair(wish.authority)
    payer = authority if wish.payer is None else load_keypair(wish.payer)
    named = [address(one, "--close") for one in wish.close]
    recipient = payer.pubkey() if wish.recipient is None else address(wish.recipient, "--recipient")
    closes = wish.close_all or bool(named)
    async with on_cluster(where, sends=closes) as cluster:
        found = await leftover_buffers(Lander(cluster.client, payer), authority.pubkey())
        lamports = {key: account.lamports for key, account in found.accounts}
        wanted = list(lamports) if wish.close_all else named
        strangers = [key for key in wanted if key not in lamports]
        if strangers:
            text = f"{strangers[0]} is no buffer of {authority.pubkey()}"
            raise Failure("not_a_buffer", text, "nothing was sent", Exit.CHECK_FAILED)
        if wanted:
            price = await unit_price(cluster.client, wanted[:1], None)
            lander = Lander(cluster.client, payer, unit_price_micro_lamports=price)
            await close_buffers(lander, wanted, recipient, authority)
        body = {
            **cluster.told(),
            "ok": True,
            "authority": str(authority.pubkey()),
            "buffers": [
                {"buffer": str(key), "lamports": str(held), "sol": sol(held), "closed": key in wanted}
                for key, held in lamports.items()
            ],
            "returned_lamports": str(sum(lamports[key] for key in wanted)),
            "recipient": str(recipient),
        }
    return body, Exit.OK


def show_buffers(body: Body) -> None:
    """The buffers for a person."""
    if not body["buffers"]:
        stdout.print(f"{body['authority']} has no buffers")
        return
    table = Table("buffer", "SOL", "")
    for row in body["buffers"]:
        table.add_row(row["buffer"], row["sol"], "closed" if row["closed"] else "")
    stdout.print(table)
    if int(body["returned_lamports"]):
        stdout.print(f"{sol(int(body['returned_lamports']))} SOL went to {body['recipient']}")
