"""Children start, are reported when they die, and never outlive the process that started them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from xorj_localnet.ports import NoFreePort, choose_port
from xorj_localnet.process import ProcessId, ProcessSpec, identify
from xorj_localnet.supervisor import ChildFailed, Supervisor, SupervisorError, WorldBusy

DEADLINE_S = 20.0
WAITS = "import signal; signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


def _python(name: str, code: str, **more: object) -> ProcessSpec:
    return ProcessSpec(name, (sys.executable, "-c", code), **more)  # type: ignore[arg-type]


def _until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not fact():
        assert time.monotonic() < deadline, "the awaited fact did not come"
        time.sleep(0.01)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    one = Supervisor(tmp_path / "world")
    one.open()
    yield one
    asyncio.run(one.stop())


def test_a_child_gets_its_settings_and_its_own_log(supervisor: Supervisor) -> None:
    code = "import os; print('told', os.environ['XORJ_TOLD'], flush=True)"
    supervisor.launch(_python("talker", code, env={"XORJ_TOLD": "something"}))
    _until(lambda: supervisor.dead() == {"talker": 0})
    assert supervisor.log_file("talker").read_text() == "told something\n"


def test_a_child_that_dies_before_it_is_ready_is_reported_with_its_last_words(supervisor: Supervisor) -> None:
    async def never() -> bool:
        return False

    with pytest.raises(ChildFailed, match=r"ended with status 7(.|\n)*cannot go on"):
        asyncio.run(supervisor.start(_python("weak", "print('cannot go on', flush=True); exit(7)", ready=never)))
    assert supervisor.pids() == {}


def test_a_child_that_is_never_ready_is_ended_at_its_deadline(supervisor: Supervisor, tmp_path: Path) -> None:
    spec = _python("mute", WAITS, ready_file=tmp_path / "never-written.json", ready_s_max=0.2)
    with pytest.raises(ChildFailed, match=r"was not ready within 0\.2 s"):
        asyncio.run(supervisor.start(spec))
    assert supervisor.pids() == {}


def test_a_death_is_reported_and_a_wanted_end_is_not(supervisor: Supervisor) -> None:
    supervisor.launch(_python("wanted", WAITS))
    supervisor.launch(_python("unwanted", WAITS))
    asyncio.run(supervisor.end("wanted"))
    os.kill(supervisor.pids()["unwanted"], signal.SIGKILL)
    with pytest.raises(ChildFailed, match="unwanted ended by itself with status -9"):
        asyncio.run(asyncio.wait_for(supervisor.wait_for_death(), DEADLINE_S))


def test_a_stopped_or_stubborn_child_still_ends(supervisor: Supervisor) -> None:
    supervisor.launch(_python("stubborn", STUBBORN, stop_s_max=0.2))
    supervisor.launch(_python("paused", WAITS))
    _until(lambda: "deaf" in supervisor.log_file("stubborn").read_text())
    supervisor.pause("paused")
    identities = [identify(pid) for pid in supervisor.pids().values()]
    asyncio.run(supervisor.stop())
    assert not any(identity is not None and identity.alive() for identity in identities)


def test_a_layer_ends_only_after_the_layers_above_it(supervisor: Supervisor, tmp_path: Path) -> None:
    marks = tmp_path / "ended"
    marks.touch()
    code = (
        "import os, signal, sys\n"
        "def end(*_):\n"
        "    with open(os.environ['MARKS'], 'a') as file: file.write(os.environ['NAME'] + ' ')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('deaf no more', flush=True)\n"
        "while True: signal.pause()\n"
    )
    for name, layer in (("user-1", 1), ("used", 0), ("user-2", 1)):
        supervisor.launch(_python(name, code, env={"MARKS": str(marks), "NAME": name}, layer=layer))
    for name in ("user-1", "used", "user-2"):
        _until(lambda name=name: "deaf no more" in supervisor.log_file(name).read_text())  # type: ignore[misc]
    asyncio.run(supervisor.stop())
    ended = marks.read_text().split()
    assert sorted(ended[:2]) == ["user-1", "user-2"]
    assert ended[2:] == ["used"]


def test_a_restarted_child_says_anew_that_it_is_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    code = (
        "import json, os, pathlib, signal; p = pathlib.Path(os.environ['READY']); q = p.with_suffix('.part');"
        "q.write_text(json.dumps({'pid': os.getpid()})); q.rename(p); signal.pause()"
    )
    first = asyncio.run(supervisor.start(_python("part", code, ready_file=ready, env={"READY": str(ready)})))
    supervisor.kill("part")
    second = asyncio.run(supervisor.restart("part"))
    assert first != second
    assert supervisor.said_when_ready("part") == {"pid": second}


def test_a_second_supervisor_of_the_same_directory_is_refused(supervisor: Supervisor) -> None:
    with pytest.raises(WorldBusy, match=str(os.getpid())):
        Supervisor(supervisor.directory).open()


def test_children_are_started_from_the_main_thread_only(supervisor: Supervisor) -> None:
    failures: list[BaseException] = []

    def launch() -> None:
        try:
            supervisor.launch(_python("part", WAITS))
        except SupervisorError as error:
            failures.append(error)

    thread = threading.Thread(target=launch)
    thread.start()
    thread.join()
    assert "main thread" in str(failures[0])


def test_a_missing_program_is_named(supervisor: Supervisor) -> None:
    with pytest.raises(SupervisorError, match="no-such-program not found"):
        supervisor.launch(ProcessSpec("part", ("no-such-program",)))


PARENT = """
import pathlib, signal, sys
from xorj_localnet.process import ProcessSpec
from xorj_localnet.supervisor import Supervisor
supervisor = Supervisor(pathlib.Path(sys.argv[1]))
supervisor.open()
code = "print('up', flush=True); import signal; signal.pause()"
for name in ("one", "two"):
    supervisor.launch(ProcessSpec(name, (sys.executable, "-c", code)))
signal.pause()
"""


def _recorded(world: Path) -> list[ProcessId]:
    record = world / "pids.json"
    if not record.exists():
        return []
    return [ProcessId(entry["pid"], entry["started"]) for entry in json.loads(record.read_bytes())["processes"]]


def test_no_child_outlives_a_killed_parent(tmp_path: Path) -> None:
    world = tmp_path / "world"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(world)])
    try:
        logs = [world / "logs" / f"{name}.log" for name in ("one", "two")]
        _until(lambda: all(log.exists() and "up" in log.read_text() for log in logs))
        children = _recorded(world)
        assert len(children) == 2
        assert all(child.alive() for child in children)
    finally:
        parent.kill()
        parent.wait()
    _until(lambda: not any(child.alive() for child in children))


def _leave_behind(world: Path, leftover: subprocess.Popen[bytes], started: str) -> None:
    world.mkdir()
    entry = {"name": "leftover", "pid": leftover.pid, "started": started, "stop_signal": int(signal.SIGTERM)}
    (world / "pids.json").write_text(json.dumps({"supervisor": 1, "processes": [entry]}))


def test_leftovers_of_a_killed_run_are_ended_at_the_next_start(tmp_path: Path) -> None:
    leftover = subprocess.Popen([sys.executable, "-c", WAITS], start_new_session=True)
    identity = identify(leftover.pid)
    assert identity is not None
    _leave_behind(tmp_path / "world", leftover, identity.started)
    threading.Thread(target=leftover.wait).start()
    supervisor = Supervisor(tmp_path / "world")
    assert supervisor.open() == ["leftover"]
    asyncio.run(supervisor.stop())
    assert not identity.alive()


def test_a_reused_pid_is_never_ended(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", WAITS], start_new_session=True)
    try:
        _leave_behind(tmp_path / "world", stranger, "another boot/12345")
        supervisor = Supervisor(tmp_path / "world")
        assert supervisor.open() == []
        asyncio.run(supervisor.stop())
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_busy_port_that_was_asked_for_is_named_with_its_setting() -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(NoFreePort, match=f"port {port} .*XORJ_BROKER_PORT"):
            choose_port(port, setting="XORJ_BROKER_PORT")
