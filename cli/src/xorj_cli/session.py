"""How a command that started a world ends: by a signal, by Ctrl-C, or by a part that failed; always in order."""

import asyncio
import ctypes
import os
import platform
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
from aiokafka.errors import KafkaError
from xorj_localnet.broker import BrokerFailed
from xorj_localnet.child import PR_SET_PDEATHSIG
from xorj_localnet.database import DatabaseFailed
from xorj_localnet.hsm import HsmFailed
from xorj_localnet.jars import DownloadFailed
from xorj_localnet.java import NoJava
from xorj_localnet.market.chain_access import ChainRefused
from xorj_localnet.market.scenario import ScenarioError
from xorj_localnet.migrations import MigrationRefused
from xorj_localnet.ports import NoFreePort
from xorj_localnet.signing import ProviderMissing
from xorj_localnet.supervisor import SupervisorError
from xorj_localnet.topics import TopicsFailed
from xorj_localnet.trading import TradingWorld
from xorj_log.reader import ReadRefused
from xorj_solana.rpc.errors import RpcError

from xorj_cli.output import stderr

START_FAILURES: tuple[type[Exception], ...] = (
    BrokerFailed,
    ChainRefused,
    DatabaseFailed,
    DownloadFailed,
    ExceptionGroup,
    HsmFailed,
    KafkaError,
    MigrationRefused,
    NoFreePort,
    NoJava,
    OSError,
    ProviderMissing,
    ReadRefused,
    RpcError,
    ScenarioError,
    SupervisorError,
    TopicsFailed,
    asyncpg.PostgresError,
    httpx.HTTPError,
)


@asynccontextmanager
async def ended_by_signals() -> AsyncIterator[None]:
    """SIGINT, SIGTERM and SIGHUP cancel the task, so that everything it started is stopped in order."""
    if os.environ.get("XORJ_END_WITH_PARENT") and platform.system() == "Linux":
        # A killed make would leave the demo running behind the terminal's back.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def wait_for_ctrl_c(world: TradingWorld) -> None:
    """Leave the world running until Ctrl-C; raises ChildFailed when a part ends by itself."""
    stderr.print("the world goes on: try `xorj status`, `xorj kill --reason …`, `xorj audit verify`; Ctrl-C stops it")
    try:
        await world.small.supervisor.wait_for_death()
    except asyncio.CancelledError:
        stderr.print("stopping")


def plain(error: BaseException) -> str:
    """The message of an error, or of the first one inside a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
