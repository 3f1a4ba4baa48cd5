"""The demo as a newcomer's program runs it: one JSON object, an exit code, and nothing left behind however it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from xorj_localnet.paths import Home
from xorj_localnet.process import ProcessId, identify

from tests.worlds import reachable

DEADLINE_S = 120.0
XORJ = Path(sys.executable).with_name("xorj")
SERVICES = {"auditor", "executor", "ingestor", "reconciler", "signer"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of its own that shares the caches."""
    own = tmp_path / "home"
    own.mkdir()
    (own / "cache").symlink_to(Home.from_environment().cache)
    reachable(own)
    return own


@dataclass(slots=True)
class Demo:
    """A running demo: what it says on standard error, and its processes."""

    process: subprocess.Popen[str]
    seen: list[ProcessId] = field(default_factory=list)

    def until_it_says(self, what: str) -> None:
        """Reads standard error up to the line that contains this; remembers the processes of that moment."""
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            if what in line:
                children = psutil.Process(self.process.pid).children(recursive=True)
                self.seen = [one for child in children if (one := identify(child.pid)) is not None]
                return
        raise AssertionError(f"it ended without saying {what}: {''.join(said)}")

    def end(self) -> tuple[int, str, str]:
        """Waits for its end: exit code, standard output, the rest of standard error."""
        out, err = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, out, err

    def left(self) -> list[ProcessId]:
        """Those of its processes that still run."""
        return [one for one in self.seen if one.alive()]


def _xorj(home: Path, *arguments: str, more: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    env = {**os.environ, "XORJ_HOME": str(home), **(more or {})}
    return subprocess.Popen([XORJ, *arguments], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _demo(home: Path, *, trades: int = 3) -> Demo:
    return Demo(_xorj(home, "demo", "--headless", "--json", "--trades", str(trades)))


def _error(home: Path, *arguments: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    process = _xorj(home, *arguments, "--json", more=more)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 3
    assert "Traceback" not in err
    error: dict[str, str] = json.loads(out)["error"]
    return error


def _until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not fact():
        assert time.monotonic() < deadline, "the awaited fact did not come"
        time.sleep(0.02)


def _check_trade(trade: dict[str, Any]) -> None:
    assert set(trade) == {
        *("trade_id", "vault", "trade_seq", "mint_in", "mint_out", "amount_in", "amount_out", "amount_out_min"),
        *("signature", "slot", "status", "latency_ms"),
    }
    assert trade["status"] in {"confirmed", "finalized"}
    assert int(trade["amount_out"]) >= int(trade["amount_out_min"]) > 0
    assert int(trade["amount_in"]) > 0
    assert {"intended", "planned", "signed", "submitted", "confirmed", "total"} <= set(trade["latency_ms"])


def test_a_killed_demo_leaves_nothing_and_the_next_one_trades(home: Path) -> None:
    # 1. Trades are under way, more are waited for; a second demo in the same home is refused.
    first = _demo(home, trades=1_000)
    first.until_it_says("signed")
    refused = _error(home, "demo", "--headless")
    assert f"in use by process {first.process.pid}" in refused["message"]

    # 2. kill -9: every process ends, and the description that stays behind is not taken for a world.
    assert len(first.seen) >= 10
    first.process.kill()
    first.process.communicate()
    _until(lambda: not first.left())
    assert _error(home, "status")["code"] == "dead_world"

    # 3. The next demo in the same home trades, says so in one object, and leaves nothing.
    second = _demo(home)
    second.until_it_says("confirmed")
    code, out, _ = second.end()
    body = json.loads(out)
    assert code == 0
    assert set(body) == {"ok", "trades", "refused", "audit", "services", "setup_ms", "elapsed_ms"}
    assert body["ok"] is True
    confirmed = [trade for trade in body["trades"] if trade["status"] in {"confirmed", "finalized"}]
    assert len(confirmed) >= 3
    for trade in confirmed:
        _check_trade(trade)
    assert all(set(refusal) == {"vault", "reason"} for refusal in body["refused"])
    assert set(body["audit"]) == {"entries", "head", "verified"}
    assert body["audit"]["verified"] is True
    assert {service["name"] for service in body["services"]} == SERVICES
    assert all(set(service) == {"name", "pid", "rss_mb"} and service["rss_mb"] > 0 for service in body["services"])
    assert 0 < body["setup_ms"] < body["elapsed_ms"]
    assert second.left() == []
    assert _error(home, "status")["code"] == "no_world"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_told_to_stop_while_it_starts_ends_in_order(home: Path, number: signal.Signals) -> None:
    demo = _demo(home)
    demo.until_it_says("broker:")
    demo.process.send_signal(number)
    code, out, err = demo.end()
    assert (code, json.loads(out)["error"]["code"]) == (3, "stopped")
    assert "Traceback" not in err
    assert demo.left() == []
    assert not (home / "world" / "pids.json").exists()


def test_a_part_that_cannot_be_had_is_named_and_nothing_is_left(home: Path) -> None:
    no_java = _error(home, "demo", "--headless", more={"XORJ_JAVA": str(home / "no-java")})
    assert "make setup" in no_java["message"]
    assert not (home / "world" / "pids.json").exists()
