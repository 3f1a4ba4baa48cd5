"""`xorj program verify`: does the chain run exactly the built bytes, and may exactly the expected key change them.

1. Program and program data are read in one answer at finalized; nothing else of the chain is believed.
2. The room after the program must hold zeroes: bytes there would be code that nobody has read.
"""

import hashlib
from pathlib import Path

from solders.pubkey import Pubkey
from xorj_solana import loader
from xorj_solana.rollout import Seen, program_data
from xorj_solana.rpc.results import AccountsAt, Commitment
from xorj_solana.vault.addresses import program_data_address

from xorj_cli.output import Exit, stdout
from xorj_cli.program.built import Elf, read_elf
from xorj_cli.program.cluster import Where, address, on_cluster
from xorj_cli.program.running import Body, Result

NOBODY = "none"


async def verify(where: Where, elf_path: Path, expected_authority: str) -> Result:
    """Compares. `expected_authority` is an address, or `none`. Raises `Failure`, `NotDeployable`, `RpcError`."""
    elf = read_elf(elf_path)
    expected = None if expected_authority == NOBODY else address(expected_authority, "--expected-authority")
    async with on_cluster(where, sends=False) as cluster:
        keys = (cluster.program, program_data_address(cluster.program))
        found = await cluster.client.get_multiple_accounts(keys, Commitment.FINALIZED)
        body = {
            **cluster.told(),
            "program": str(keys[0]),
            "program_data": str(keys[1]),
            **_compared(keys[1], found, elf, expected),
        }
    return body, Exit.OK if body["ok"] else Exit.CHECK_FAILED


def _compared(place: Pubkey, found: AccountsAt, elf: Elf, expected: Pubkey | None) -> Body:
    program, stored = found.accounts
    data = program_data(Seen(program, stored, None))
    problems: list[str] = []
    if program is not None and not program.executable:
        problems.append("the program's account is not executable")
    if program is not None and loader.parse_state(program.data) != loader.Program(place):
        problems.append("the program's account points to other code than its own")
    different = first_difference(elf.content, data.elf)
    if different is not None:
        problems.append(f"byte {different} differs from what was built")
    if data.upgrade_authority != expected:
        problems.append(f"the upgrade authority is {_name(data.upgrade_authority)}, not {_name(expected)}")
    return {
        "ok": not problems,
        "context_slot": found.slot,
        "deployed_slot": data.slot,
        "bytes": len(elf.content),
        "room_bytes": len(data.elf),
        "sha256_built": elf.sha256,
        "sha256_chain": hashlib.sha256(data.elf[: len(elf.content)]).hexdigest(),
        "first_difference": different,
        "upgrade_authority": _name(data.upgrade_authority),
        "expected_authority": _name(expected),
        "problems": problems,
    }


def first_difference(built: bytes, on_chain: bytes) -> int | None:
    """Offset of the first byte on chain that is not the built one, or not zero after its end; None without one."""
    padded = built.ljust(len(on_chain), b"\0")
    if padded == on_chain:
        return None
    pairs = zip(padded, on_chain, strict=False)
    return next((at for at, (ours, theirs) in enumerate(pairs) if ours != theirs), len(on_chain))


def _name(authority: Pubkey | None) -> str:
    return NOBODY if authority is None else str(authority)


def show_verify(body: Body) -> None:
    """The result for a person."""
    stdout.print(f"{body['endpoint']}, cluster {body['genesis_hash']}, slot {body['context_slot']}")
    stdout.print(f"program {body['program']}, deployed in slot {body['deployed_slot']}")
    stdout.print(f"built    {body['sha256_built']}, {body['bytes']} bytes")
    stdout.print(f"on chain {body['sha256_chain']}, room for {body['room_bytes']} bytes")
    stdout.print(f"upgrade authority {body['upgrade_authority']}")
    for problem in body["problems"]:
        stdout.print(f"[red]{problem}[/]")
    if body["ok"]:
        stdout.print("[green]the chain runs what was built[/]")
