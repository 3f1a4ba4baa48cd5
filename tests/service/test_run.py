"""The life of a service process, seen from outside."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

SERVICE = """
import asyncio, sys
from xorj_service.run import run_service
from xorj_service.settings import ServiceSettings, load_settings

async def main(context):
    context.health.check("work", lambda: None if {well} else "not well")
    context.spawn("ready", context.announce_when_ready())
    {body}

sys.exit(run_service("sample", load_settings(ServiceSettings), main))
"""


def environment(folder: Path) -> dict[str, str]:
    pem = folder / "any.pem"
    pem.touch()
    files = {f"XORJ_{n}": str(pem) for n in ("KAFKA_CA_FILE", "KAFKA_CERT_FILE", "KAFKA_KEY_FILE", "KEYS_FILE")}
    return {
        **os.environ,
        **files,
        "XORJ_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "XORJ_HEARTBEAT_KEY_FILE": str(pem),
        "XORJ_READY_FILE": str(folder / "ready.json"),
    }


def start(folder: Path, body: str, *, well: bool = True, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    code = SERVICE.format(body=body, well=well)
    return subprocess.Popen([sys.executable, "-c", code], env=env or environment(folder), stderr=subprocess.PIPE)


def wait_for(path: Path) -> dict[str, int]:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return dict(json.loads(path.read_text()))


def get(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)


def test_a_service_announces_itself_answers_health_and_stops_on_sigterm(tmp_path: Path) -> None:
    process = start(tmp_path, "await context.stopping.wait()")
    port = wait_for(tmp_path / "ready.json")["health_port"]
    assert [get(port, path) for path in ("/livez", "/readyz", "/metrics")] == [200, 200, 200]
    process.send_signal(signal.SIGTERM)
    _, logs = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(logs.decode().splitlines()[-1])["event"] == "service.stopped"


def test_a_failed_task_stops_the_process(tmp_path: Path) -> None:
    process = start(tmp_path, "raise RuntimeError('broken')")
    _, logs = process.communicate(timeout=20)
    assert process.returncode == 1
    assert b"broken" in logs


def test_a_thread_that_never_ends_does_not_keep_a_stopped_process(tmp_path: Path) -> None:
    body = "import threading, time, xorj_service.run as run; run.STOP_S_MAX = 0.5; "
    body += "threading.Thread(target=time.sleep, args=(60,)).start()"
    process = start(tmp_path, body)
    _, logs = process.communicate(timeout=20)
    assert process.returncode == 1
    assert b"ended_by_force" in logs


def test_a_service_that_is_not_well_is_not_announced(tmp_path: Path) -> None:
    process = start(tmp_path, "await asyncio.sleep(1)", well=False)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert not (tmp_path / "ready.json").exists()


@pytest.mark.parametrize(
    ("name", "value"), [("XORJ_KAFKA_BOOTSTRAP", None), ("XORJ_MODE", "yolo"), ("XORJ_HEALTH_PORT", "a")]
)
def test_a_bad_setting_is_named_and_ends_with_usage(tmp_path: Path, name: str, value: str | None) -> None:
    env = {key: text for key, text in environment(tmp_path).items() if key != name}
    process = start(tmp_path, "pass", env=env if value is None else {**env, name: value})
    _, said = process.communicate(timeout=20)
    assert process.returncode == 2
    assert name in said.decode()
