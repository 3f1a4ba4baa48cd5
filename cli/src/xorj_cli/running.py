"""The running world as its `world.json` describes it, and the operator's way into it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from xorj_core.base58 import address_bytes
from xorj_localnet.paths import Home
from xorj_log.connection import KafkaConnection

from xorj_cli.output import Failure

OPERATOR = "operator"
START_ONE = "start one with `xorj demo` or `make demo`"


@dataclass(frozen=True, slots=True)
class RunningService:
    """One service process of the world."""

    name: str
    pid: int
    health_port: int | None


@dataclass(frozen=True, slots=True)
class RunningWorld:
    """What the commands need to know of a world."""

    directory: Path
    cluster_id: str
    kafka: KafkaConnection
    audit_dsn: str
    ledger_dsn: str
    keys_file: Path
    operator_key_file: Path
    services: tuple[RunningService, ...]
    signer_address: str
    genesis_hash: bytes
    symbols: dict[str, str]
    decimals: dict[str, int]
    profiles: dict[str, str]
    """Risk profile by vault; symbols and decimals are by mint."""


def world_file() -> Path:
    """Where the world of this checkout describes itself (XORJ_HOME moves it)."""
    return Home.from_environment().world / "world.json"


def open_world(path: Path | None = None) -> RunningWorld:
    """The world that runs now; raises `Failure` when there is none."""
    path = path or world_file()
    try:
        body = json.loads(path.read_bytes())
        if not psutil.pid_exists(body["pid"]):
            raise Failure("dead_world", "the local world was killed and no longer runs", START_ONE)
        return parse_world(path, body)
    except FileNotFoundError:
        raise Failure("no_world", "no local world is running", START_ONE) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure("bad_world_file", f"{path}: {error!r}", "stop the world and start it again") from error


def parse_world(path: Path, body: dict[str, Any]) -> RunningWorld:
    """The description in world.json; raises KeyError, TypeError, ValueError, OSError."""
    principal = body["kafka"]["principals"][OPERATOR]
    return RunningWorld(
        directory=path.parent,
        cluster_id=body["cluster_id"],
        kafka=KafkaConnection(
            body["kafka"]["bootstrap"],
            Path(body["kafka"]["ca_file"]),
            Path(principal["cert_file"]),
            Path(principal["key_file"]),
            OPERATOR,
        ),
        audit_dsn=Path(body["database"]["dsn_files"]["audit_reader"]).read_text().strip(),
        ledger_dsn=Path(body["database"]["dsn_files"]["signer_reader"]).read_text().strip(),
        keys_file=Path(body["keys_file"]),
        operator_key_file=Path(body["key_files"]["operator-1"]),
        services=tuple(RunningService(s["name"], s["pid"], s["health_port"]) for s in body["services"]),
        signer_address=body["signer"]["address"],
        genesis_hash=address_bytes(body["genesis_hash"]),
        symbols={mint["mint"]: mint["symbol"] for mint in body["mints"]},
        decimals={mint["mint"]: int(mint["decimals"]) for mint in body["mints"]},
        profiles={vault["vault"]: vault["profile"] for vault in body["vaults"]},
    )


def rss_mb(pid: int) -> int | None:
    """Resident memory of a process in MB; None when it has ended."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else round(process.memory_info().rss / 1e6)
    except psutil.NoSuchProcess:
        return None
