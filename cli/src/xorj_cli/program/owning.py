"""`xorj program give`: another upgrade authority, such as a multisig.

1. A new authority that has a key file signs too. One that has none, as a multisig's, must be typed twice: an address
   has no checksum, and a program given to a mistyped one can never be upgraded again.
"""

from dataclasses import dataclass
from pathlib import Path

from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from xorj_solana import loader
from xorj_solana.landing import Step
from xorj_solana.rollout import Seen, program_data
from xorj_solana.rpc.results import Commitment
from xorj_solana.vault.addresses import program_data_address

from xorj_cli.output import Exit, Failure, stdout
from xorj_cli.program.cluster import Cluster, Where, address, on_cluster, send_one
from xorj_cli.program.keypairs import load_keypair
from xorj_cli.program.running import Body, Result


@dataclass(frozen=True, slots=True)
class GiveWish:
    """Who gives, who pays, and to whom: a key file, or an address typed twice."""

    authority: Path
    payer: Path | None
    to_key: Path | None
    to: str | None
    to_again: str | None


async def give(where: Where, wish: GiveWish) -> Result:
    """Gives the right to upgrade away. Raises `Failure`, `NotDeployable`, `LandingFailed`, `RpcError`."""
    authority = load_keypair(wish.authority)
    payer = authority if wish.payer is None else load_keypair(wish.payer)
    receiver, new = _receiver(wish)
    async with on_cluster(where, sends=True) as cluster:
        body = {**cluster.told(), "ok": True, "program": str(cluster.program), "upgrade_authority": str(new)}
        if await _present(cluster) == new:
            return {**body, "already": True}, Exit.OK
        made, signers = _instruction(cluster.program, authority, receiver, new)
        await send_one(cluster, payer, Step("give", (made,), signers))
    return {**body, "already": False}, Exit.OK


def show_give(body: Body) -> None:
    """How it ended, for a person."""
    done = "belonged to it already" if body["already"] else "[green]given[/]"
    stdout.print(f"{done}: only {body['upgrade_authority']} may upgrade {body['program']}")


def _receiver(wish: GiveWish) -> tuple[Keypair | None, Pubkey]:
    if wish.to_key is not None and wish.to is None:
        receiver = load_keypair(wish.to_key)
        return receiver, receiver.pubkey()
    if wish.to_key is not None or wish.to is None or wish.to != wish.to_again:
        text = "to whom is not said, or not twice the same"
        raise Failure("no_receiver", text, "give --to-key FILE, or --to ADDRESS and --again ADDRESS", Exit.USAGE)
    return None, address(wish.to, "--to")


def _instruction(
    program: Pubkey, authority: Keypair, receiver: Keypair | None, new: Pubkey
) -> tuple[Instruction, tuple[Keypair, ...]]:
    place = program_data_address(program)
    if receiver is None:
        return loader.set_authority(place, authority.pubkey(), new), (authority,)
    return loader.set_authority_checked(place, authority.pubkey(), new), (authority, receiver)


async def _present(cluster: Cluster) -> Pubkey | None:
    keys = (cluster.program, program_data_address(cluster.program))
    head, data = (await cluster.client.get_multiple_accounts(keys, Commitment.CONFIRMED)).accounts
    return program_data(Seen(head, data, None)).upgrade_authority
