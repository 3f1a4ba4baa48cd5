"""A world leaves nothing behind, however it ends."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from xorj_localnet.java import NoJava
from xorj_localnet.ports import NoFreePort
from xorj_localnet.process import ProcessId
from xorj_localnet.world import World, WorldOptions

DEADLINE_S = 60.0

PARENT = """
import asyncio, pathlib, sys
from xorj_localnet.world import World, WorldOptions
async def main():
    async with World(WorldOptions(directory=pathlib.Path(sys.argv[1]))) as world:
        world.publish()
        await world.until_told_to_stop()
asyncio.run(main())
"""


def _until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not fact():
        assert time.monotonic() < deadline, "the awaited fact did not come"
        time.sleep(0.02)


def _processes(directory: Path) -> list[ProcessId]:
    record = json.loads((directory / "pids.json").read_bytes())
    return [ProcessId(entry["pid"], entry["started"]) for entry in record["processes"]]


def _start_world(directory: Path) -> tuple[subprocess.Popen[bytes], list[ProcessId]]:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(directory)])
    file = directory / "world.json"  # one of a killed world may still be there

    def is_up() -> bool:
        assert parent.poll() is None, "the world ended before it was up"
        return file.exists() and json.loads(file.read_bytes())["pid"] == parent.pid

    _until(is_up)
    processes = _processes(directory)
    assert all(process.alive() for process in processes)
    return parent, processes


def test_nothing_outlives_a_world_whose_parent_was_killed_and_it_starts_again(tmp_path: Path) -> None:
    parent, processes = _start_world(tmp_path / "world")
    parent.kill()
    parent.wait()
    _until(lambda: not any(process.alive() for process in processes))

    parent, processes = _start_world(tmp_path / "world")
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(DEADLINE_S) == 0
    assert not any(process.alive() for process in processes)
    assert not (tmp_path / "world" / "world.json").exists()
    assert not (tmp_path / "world" / "pids.json").exists()


def test_a_part_that_dies_ends_the_world_with_a_message(tmp_path: Path) -> None:
    parent, processes = _start_world(tmp_path / "world")
    os.kill(processes[0].pid, signal.SIGKILL)
    assert parent.wait(DEADLINE_S) != 0
    assert not any(process.alive() for process in processes)


def test_a_busy_port_ends_the_start_with_its_setting_and_leaves_nothing(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        world = World(WorldOptions(directory=tmp_path / "world", database_port=port))
        with pytest.raises(NoFreePort, match=f"port {port} .*XORJ_DATABASE_PORT"):
            asyncio.run(world.start())
    assert world.supervisor.pids() == {}


def test_without_a_suitable_java_the_message_says_where_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XORJ_JAVA", str(tmp_path / "no-java"))
    with pytest.raises(NoJava, match=r"no-java \(cannot be run\).*make setup.*XORJ_JAVA"):
        asyncio.run(World(WorldOptions(directory=tmp_path / "world")).start())
