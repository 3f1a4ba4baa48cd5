"""`xorj program deploy`: a first deployment, an upgrade, a buffer filled for a multisig, or what that would cost."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.progress import Progress, TaskID
from solders.pubkey import Pubkey
from xorj_solana.deployer import Deployer, Estimate, Keys
from xorj_solana.landing import Lander, Step
from xorj_solana.rollout import Kind, Target
from xorj_solana.rpc.results import Commitment
from xorj_solana.vault.addresses import program_data_address

from xorj_cli.output import Exit, Failure, stderr, stdout
from xorj_cli.program.built import Elf, read_elf
from xorj_cli.program.cluster import Cluster, Where, address, on_cluster, sol, unit_price
from xorj_cli.program.keypairs import load_keypair
from xorj_cli.program.running import Body, Result


@dataclass(frozen=True, slots=True)
class DeployWish:
    """What the operator asked for; paths of key files. `room_bytes` is for a first deployment."""

    elf: Path
    authority: Path
    payer: Path | None
    program_key: Path | None
    upgrade_authority: str | None
    room_bytes: int | None
    unit_price: int | None
    in_flight: int
    dry_run: bool


class Bar:
    """Progress on standard error: a line for each phase."""

    def __init__(self, *, shown: bool) -> None:
        self._progress = Progress(console=stderr, disable=not shown, transient=True)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def phase(self, name: str, count: int) -> None:
        """A phase of `count` transactions begins."""
        self._task = self._progress.add_task(name, total=count)

    def landed(self, _step: Step) -> None:
        """One of them has landed."""
        if self._task is not None:
            self._progress.advance(self._task)


async def deploy(where: Where, wish: DeployWish, *, show_progress: bool) -> Result:
    """Deploys, or says what it would cost. Raises `Failure`, `NotDeployable`, `LandingFailed`, `RpcError`."""
    elf = read_elf(wish.elf)
    authority = load_keypair(wish.authority)
    payer = authority if wish.payer is None else load_keypair(wish.payer)
    program_key = None if wish.program_key is None else load_keypair(wish.program_key)
    async with on_cluster(where, sends=not wish.dry_run) as cluster:
        program = _program(cluster, None if program_key is None else program_key.pubkey())
        belongs_to = authority.pubkey()
        if wish.upgrade_authority is not None:
            belongs_to = address(wish.upgrade_authority, "--upgrade-authority")
        room = max(wish.room_bytes or 0, len(elf.content))
        target = Target(program, elf.content, authority.pubkey(), belongs_to, room)
        price = await unit_price(cluster.client, [target.buffer, program], wish.unit_price)
        with Bar(shown=show_progress) as bar:
            lander = Lander(
                cluster.client,
                payer,
                unit_price_micro_lamports=price,
                in_flight_max=wish.in_flight,
                on_landed=bar.landed,
            )
            deployer = Deployer(lander, target, Keys(authority, program_key), bar.phase)
            estimate = await deployer.estimate()
            body = _body(cluster, target, elf, estimate, price)
            if wish.dry_run:
                return {**body, "ok": estimate.enough, "dry_run": True}, _exit(ok=estimate.enough)
            await deployer.run()
        after = (await cluster.client.get_multiple_accounts([payer.pubkey()], Commitment.FINALIZED)).accounts[0]
        paid = estimate.payer_lamports - (0 if after is None else after.lamports)
        ran = {"signed": lander.tally.signed, "landed": lander.tally.landed, **lander.tally.by_name}
        return {**body, "ok": True, "dry_run": False, "paid_lamports": str(paid), "sent": ran}, Exit.OK


def _program(cluster: Cluster, of_key: Pubkey | None) -> Pubkey:
    if of_key is None:
        return cluster.program
    if cluster.named_program not in (None, of_key):
        text = f"--program-key is that of {of_key}, not of {cluster.named_program}"
        raise Failure("other_program_key", text, "give the key of the program meant", Exit.USAGE)
    return of_key


def _body(cluster: Cluster, target: Target, elf: Elf, estimate: Estimate, price: int) -> Body:
    cost, plan = estimate.cost, estimate.plan
    return {
        **cluster.told(),
        "action": plan.kind.value,
        "program": str(target.program),
        "program_data": str(program_data_address(target.program)),
        "buffer": str(target.buffer),
        "upgrade_authority": str(target.upgrade_authority),
        "sha256": elf.sha256,
        "bytes": len(elf.content),
        "room_bytes": plan.data_len,
        "unit_price_micro_lamports": price,
        "transactions": estimate.transactions,
        "cost": {
            "fees_lamports": str(cost.fees),
            "rent_lamports": str(cost.rent_kept),
            "returned_lamports": str(cost.rent_returned),
            "net_lamports": str(cost.net),
            "net_sol": sol(cost.net),
            "needed_lamports": str(cost.needed_at_most),
            "needed_sol": sol(cost.needed_at_most),
            "payer_lamports": str(estimate.payer_lamports),
            "enough": estimate.enough,
        },
    }


def _exit(*, ok: bool) -> Exit:
    return Exit.OK if ok else Exit.CHECK_FAILED


def show_deploy(body: Body) -> None:
    """What was done, or would be."""
    stdout.print(f"{body['endpoint']}, cluster {body['genesis_hash']}")
    stdout.print(f"program {body['program']}, {body['bytes']} bytes, sha256 {body['sha256']}")
    cost = body["cost"]
    if body["action"] == Kind.ALREADY.value:
        stdout.print("[green]these bytes run there already[/]; nothing to send")
    elif body["dry_run"]:
        count = sum(body["transactions"].values())
        stdout.print(f"would {body['action']} with {count} transactions: {_listed(body['transactions'])}")
        stdout.print(
            f"would cost {cost['net_sol']} SOL: fees {sol(int(cost['fees_lamports']))}, rent "
            f"{sol(int(cost['rent_lamports']))}, of the buffer's rent {sol(int(cost['returned_lamports']))} come back"
        )
        enough = "" if cost["enough"] else "[red]not enough[/]: "
        stdout.print(f"{enough}needs {cost['needed_sol']} SOL, the payer has {sol(int(cost['payer_lamports']))}")
    elif body["action"] == Kind.STAGE.value:
        stdout.print(f"[green]staged[/]: {body['upgrade_authority']} may now upgrade from buffer {body['buffer']}")
    else:
        stdout.print(f"[green]{body['action']} done[/] for {sol(int(body['paid_lamports']))} SOL")


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
