"""`xorj program init`: the program's configuration account, made once by the upgrade authority.

1. A second run with the same arguments changes nothing and succeeds; with others it is refused and says what differs.
"""

from dataclasses import dataclass
from pathlib import Path

from solders.pubkey import Pubkey
from xorj_solana.landing import LandingFailed, Step
from xorj_solana.rpc.results import Commitment
from xorj_solana.tokens import MalformedAccount
from xorj_solana.vault import (
    DELAY_S_MAX,
    DELAY_S_MIN,
    Config,
    InvalidInstruction,
    config_address,
    initialize,
    parse_config,
)

from xorj_cli.output import Exit, Failure, stdout
from xorj_cli.program.cluster import Cluster, Where, address, on_cluster, send_one
from xorj_cli.program.keypairs import load_keypair
from xorj_cli.program.running import Body, Result


@dataclass(frozen=True, slots=True)
class InitWish:
    """The configuration wanted, as typed; paths of key files. `delay_s` is what later additions wait, in seconds."""

    authority: Path
    payer: Path | None
    admin: str
    guardian: str
    swap_programs: tuple[str, ...]
    bot_authorities: tuple[str, ...]
    delay_s: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    admin: Pubkey
    guardian: Pubkey
    swap_programs: tuple[Pubkey, ...]
    bot_authorities: tuple[Pubkey, ...]
    delay_s: int


async def init(where: Where, wish: InitWish) -> Result:
    """Makes the configuration, or finds it made. Raises `Failure`, `LandingFailed`, `RpcError`, `MalformedAccount`."""
    wanted = _read(wish)
    authority = load_keypair(wish.authority)
    payer = authority if wish.payer is None else load_keypair(wish.payer)
    async with on_cluster(where, sends=True) as cluster:
        try:
            made = initialize(
                cluster.program,
                payer=payer.pubkey(),
                upgrade_authority=authority.pubkey(),
                admin=wanted.admin,
                guardian=wanted.guardian,
                swap_programs=wanted.swap_programs,
                bot_authorities=wanted.bot_authorities,
                delay_s=wanted.delay_s,
            )
        except InvalidInstruction as error:
            raise Failure("bad_configuration", str(error), "see --help", Exit.USAGE) from error
        config = await read_config(cluster, Commitment.CONFIRMED)
        already = config is not None
        if config is None:
            try:
                await send_one(cluster, payer, Step("initialize", (made,), (authority,)))
            except LandingFailed:
                config = await read_config(cluster, Commitment.CONFIRMED)
                if config is None:  # otherwise another run came first, and what it made is compared
                    raise
            else:
                config = await read_config(cluster, Commitment.FINALIZED)
        different = ["the whole account"] if config is None else _differences(config, wanted)
        if different:
            raise Failure(
                "other_configuration",
                f"the program is configured otherwise: {', '.join(different)}",
                "`xorj program show` tells how; what may be changed is scheduled by the admin: `xorj program schedule`",
                Exit.CHECK_FAILED,
            )
        config_at = config_address(cluster.program)
        body = {**cluster.told(), "ok": True, "already": already, "program": str(cluster.program)}
    return {**body, "config": str(config_at)}, Exit.OK


async def read_config(cluster: Cluster, commitment: Commitment) -> Config | None:
    """The configuration, None before it is made. Raises `MalformedAccount`, `RpcError`."""
    place = config_address(cluster.program)
    account = (await cluster.client.get_multiple_accounts([place], commitment)).accounts[0]
    if account is None or not account.data:
        return None
    if account.owner != cluster.program:
        raise MalformedAccount(f"the configuration's account belongs to {account.owner}")
    return parse_config(account.data)


def show_init(body: Body) -> None:
    """How it ended, for a person."""
    done = "[green]configured like that already[/]" if body["already"] else "[green]configured[/]"
    stdout.print(f"{done}: program {body['program']}, configuration {body['config']}")


def _read(wish: InitWish) -> _Wanted:
    if not DELAY_S_MIN <= wish.delay_s <= DELAY_S_MAX:
        text = f"--delay must be from {DELAY_S_MIN} to {DELAY_S_MAX} seconds"
        raise Failure("bad_delay", text, "additions to the configuration wait that long", Exit.USAGE)
    wanted = _Wanted(
        address(wish.admin, "--admin"),
        address(wish.guardian, "--guardian"),
        tuple(address(one, "--swap-program") for one in wish.swap_programs),
        tuple(address(one, "--bot") for one in wish.bot_authorities),
        wish.delay_s,
    )
    if wanted.admin == wanted.guardian:
        text = "admin and guardian are the same key: whoever steals it can do what needs both"
        raise Failure("same_key_twice", text, "give two keys of two people", Exit.USAGE)
    return wanted


def _differences(config: Config, wanted: _Wanted) -> list[str]:
    pairs = {
        "admin": (config.admin, wanted.admin),
        "guardian": (config.guardian, wanted.guardian),
        "swap programs": (set(config.swap_programs), set(wanted.swap_programs)),
        "bot authorities": ({one.key for one in config.bot_authorities}, set(wanted.bot_authorities)),
        "delay": (config.delay_s, wanted.delay_s),
    }
    return [name for name, (is_, asked) in pairs.items() if is_ != asked]
