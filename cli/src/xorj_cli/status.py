"""`xorj status`: who is alive and ready, does trading run, what waits for a signature, how far is the audit log."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from rich.table import Table
from xorj_core.facts import HaltScope, HaltState

from xorj_cli.heartbeats import Pulse, read_pulse
from xorj_cli.output import Exit, stdout
from xorj_cli.reservations import ledger_status
from xorj_cli.running import RunningService, RunningWorld, rss_mb

LEASE_MS = 1_000


async def status_of(world: RunningWorld) -> tuple[dict[str, Any], Exit]:
    """The status as JSON, and how the command should end. Raises KafkaError when the broker cannot be reached."""
    async with read_pulse(world) as reader:
        await reader.to_the_end()
        await reader.until(lambda pulse: pulse.audit is not None and len(pulse.alive()) >= 5, 1.5)
        pulse = reader.pulse
    services = [await asyncio.to_thread(_service, world, service, pulse) for service in world.services]
    ledger = await ledger_status(world.ledger_dsn)
    audit_age_ms = time.time_ns() // 1_000_000 - pulse.audit_ms if pulse.audit else None
    audit = pulse.audit
    killed = any(kill.scope is HaltScope.EVERYTHING for kill, _ in pulse.kills.values())
    body = {
        "ok": all(s["ok"] for s in services) and not killed and audit_age_ms is not None and audit_age_ms < LEASE_MS,
        "cluster_id": world.cluster_id,
        "halt": {
            "state": "TRIGGERED" if killed else "ARMED",
            "kills": [
                {"command_id": kill.command_id.hex(), "scope": kill.scope.name, "reason": kill.reason, "at_ms": at_ms}
                for kill, at_ms in pulse.kills.values()
            ],
        },
        "services": services,
        "ledger": ledger,
        "audit": {
            "entries": audit.entries if audit else None,
            "head": audit.head.hex() if audit else None,
            "heartbeat_age_ms": audit_age_ms,
        },
    }
    return body, Exit.HALTED if killed else Exit.OK if body["ok"] else Exit.CHECK_FAILED


def show_status(body: dict[str, Any]) -> None:
    """The status for a person."""
    table = Table("service", "pid", "MB", "ready", "state", "problem")
    for service in body["services"]:
        ready = "[green]yes[/]" if service["ready"] else "[red]no[/]"
        mb, pid = str(service["rss_mb"] or "-"), str(service["pid"])
        table.add_row(service["name"], pid, mb, ready, service["state"] or "-", "; ".join(service["problems"]))
    stdout.print(table)
    for kill in body["halt"]["kills"]:
        stdout.print(f"[red]stopped[/] ({kill['scope'].lower()}): {kill['reason']}")
    ledger = body["ledger"]
    if ledger["problem"] is not None:
        stdout.print(f"[red]signer's ledger[/]: {ledger['problem']}")
    for item in ledger["stuck"]:
        stdout.print(
            f"[yellow]reserved, not signed[/] for {item['waiting_s']} s: vault {item['vault']}, sequence "
            f"{item['trade_seq']}, attempt {item['attempt']}, until slot {item['expiry_slot']}"
        )
    if ledger["unpublished"]:
        stdout.print(f"[yellow]signed, not published[/]: {ledger['unpublished']}")
    audit = body["audit"]
    stdout.print(f"audit log: {audit['entries']} entries, last heartbeat {audit['heartbeat_age_ms']} ms ago")


def _service(world: RunningWorld, service: RunningService, pulse: Pulse) -> dict[str, Any]:
    beat = next((b for b in pulse.alive() if b.service == service.name), None)
    memory = rss_mb(service.pid)
    ready, problems = False, ["the process has ended"]
    if memory is not None:
        ready, problems = _readiness(world, service.health_port)
    if beat is None:
        problems = [*problems, "no recent heartbeat"]
    return {
        "name": service.name,
        "pid": service.pid,
        "rss_mb": memory,
        "ready": ready,
        "state": HaltState(beat.state).name if beat else None,
        "problems": problems,
        "ok": ready and beat is not None,
    }


def _readiness(world: RunningWorld, port: int | None) -> tuple[bool, list[str]]:
    """What /readyz says, or gRPC health for the one service that has no HTTP: the signer."""
    if port is None:
        return _signer_readiness(world)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            body = json.load(answer)
    except urllib.error.HTTPError as error:
        body = json.load(error)
    except (OSError, ValueError) as error:
        return False, [f"health port: {error}"]
    return bool(body["ok"]), [f"{name}: {problem}" for name, problem in body["problems"].items()]


def _signer_readiness(world: RunningWorld) -> tuple[bool, list[str]]:
    credentials = grpc.ssl_channel_credentials(
        world.kafka.ca_file.read_bytes(), world.kafka.key_file.read_bytes(), world.kafka.cert_file.read_bytes()
    )
    try:
        with grpc.secure_channel(world.signer_address, credentials) as channel:
            answer = HealthStub(channel).Check(HealthCheckRequest(service=""), timeout=2)
    except grpc.RpcError as error:
        return False, [f"gRPC health: {error.code().name}"]
    serving: int = HealthCheckResponse.SERVING
    return (True, []) if answer.status == serving else (False, ["gRPC health: not serving"])
