"""How every verb of `xorj program` runs and ends: its result shown, or one failure told with a hint."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import typer
from xorj_solana.landing import LandingFailed
from xorj_solana.rollout import NotDeployable
from xorj_solana.rpc.errors import RpcError, RpcMalformed, RpcRejected
from xorj_solana.tokens import MalformedAccount
from xorj_solana.vault import ERRORS, find_failure
from xorj_solana.vault.errors import VaultError

from xorj_cli.output import STOPPED, Exit, Failure, fail, print_json, stderr
from xorj_cli.session import ended_by_signals

Body = dict[str, Any]
Result = tuple[Body, Exit]


def run_verb(verb: Callable[[], Awaitable[Result]], show: Callable[[Body], None], *, as_json: bool) -> None:
    """Run a verb to its end; always raises `typer.Exit`."""

    async def run() -> Result:
        async with ended_by_signals():
            return await verb()

    try:
        body, exit_code = asyncio.run(run())
    except asyncio.CancelledError:
        fail(STOPPED, as_json=as_json)
    except Failure as failure:
        fail(failure, as_json=as_json)
    except LandingFailed as error:
        for line in error.logs:
            stderr.print(line, markup=False)
        fail(_landing(error), as_json=as_json)
    except NotDeployable as error:
        hint = "nothing was changed; `xorj program show` tells what stands there"
        fail(Failure(error.code, str(error), hint, Exit.CHECK_FAILED), as_json=as_json)
    except MalformedAccount as error:
        hint = "is --program the vault program, and is this `xorj` as new as it?"
        fail(Failure("malformed_account", str(error), hint), as_json=as_json)
    except RpcError as error:
        fail(_rpc(error), as_json=as_json)
    if as_json:
        print_json(body)
    else:
        show(body)
    raise typer.Exit(exit_code)


def _landing(error: LandingFailed) -> Failure:
    found = find_failure(error.logs)
    if found is not None and found.code in VaultError._value2member_map_:
        refusal = VaultError(found.code)
        text = f"{error.step}: refused by {found.program}: {refusal.name} ({found.code}): {ERRORS[refusal]}"
        return Failure("refused_by_program", text, "nothing was changed", Exit.CHECK_FAILED)
    hint = "what has landed stays; the same command again goes on from there"
    return Failure("transaction_failed", str(error), hint, Exit.CHECK_FAILED)


def _rpc(error: RpcError) -> Failure:
    if isinstance(error, RpcRejected):
        return Failure("rpc_refused", str(error), "does this endpoint serve that method? another may")
    if isinstance(error, RpcMalformed):
        return Failure("rpc_malformed", str(error), "is --rpc a Solana RPC endpoint?")
    return Failure("rpc_unreachable", str(error), "what was sent may have landed; the same command again finds out")
