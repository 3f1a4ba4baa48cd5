"""Owns what set-up does once the packages are installed: the broker's jars, its fast start, the signer's provider.

1. Everything here is checked again when it is used; this only brings the waiting forward to set-up.
"""

import sys
from typing import assert_never

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from xorj_localnet.broker import BrokerFailed
from xorj_localnet.faststart import is_prepared, prepare_fast_start
from xorj_localnet.jars import DownloadFailed, default_base_url, fetch_jars, read_jar_list
from xorj_localnet.java import NoJava, find_java
from xorj_localnet.paths import KAFKA_JAR_LIST, Home
from xorj_localnet.signing import SignerProvider, choose_signer_provider
from xorj_localnet.supervisor import SupervisorError


def _say_provider(console: Console) -> None:
    choice = choose_signer_provider()
    match choice.provider:
        case SignerProvider.PKCS11:
            console.print(
                f"  signer: PKCS#11 with SoftHSM ({choice.softhsm.module if choice.softhsm else ''})", highlight=False
            )
        case SignerProvider.FILE:
            console.print(
                "  signer: file key, local cluster only (SoftHSM not found: package softhsm2)", highlight=False
            )
        case _:
            assert_never(choice.provider)


def prepare(home: Home, console: Console) -> None:
    """Fills the caches. Raises DownloadFailed, NoJava, BrokerFailed, SupervisorError."""
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        jars = bars.add_task("Kafka jars", total=None)
        fetch_jars(
            read_jar_list(KAFKA_JAR_LIST),
            home.jars,
            default_base_url(),
            lambda done, total: bars.update(jars, completed=done, total=total),
        )
        start = bars.add_task("broker's fast start", total=1)
        if not is_prepared(home):
            prepare_fast_start(home)
        bars.update(start, completed=1)
    runtime = find_java()
    console.print(f"  broker: Java {runtime.version} ({runtime.program})", highlight=False, soft_wrap=True)
    _say_provider(console)


def main() -> int:
    """Exit status 0, or 3 with a message that says what could not be had."""
    console = Console(stderr=True)
    try:
        prepare(Home.from_environment(), console)
    except (DownloadFailed, NoJava, BrokerFailed, SupervisorError) as failure:
        console.print(f"{type(failure).__name__}: {failure}", markup=False, highlight=False, soft_wrap=True)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
