"""However the command ends, it says so once: its exit code, one JSON object where asked for, no stack trace."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from xorj_cli import commands
from xorj_cli.main import main

Said = tuple[int, dict[str, Any], str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, without a world."""
    monkeypatch.setenv("XORJ_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def xorj(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command with --json; its exit code, the one object on standard output, standard error."""

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["xorj", *arguments, "--json"])
        code = main()
        said = capsys.readouterr()
        return code, json.loads(said.out), said.err

    return run


VERBS = (("status",), ("audit", "verify"), ("kill", "--reason", "test"))


@pytest.mark.parametrize("verb", VERBS)
def test_without_a_world_every_verb_says_how_to_start_one(xorj: Any, verb: tuple[str, ...]) -> None:
    code, said, err = xorj(*verb)
    assert (code, said["error"]["code"]) == (3, "no_world")
    assert "make demo" in said["error"]["hint"]
    assert "Traceback" not in err


def _leave(home: Path, text: str) -> None:
    (home / "world").mkdir(parents=True)
    (home / "world" / "world.json").write_text(text)


@pytest.mark.parametrize("verb", VERBS)
def test_a_world_that_was_killed_is_not_taken_for_a_running_one(xorj: Any, home: Path, verb: tuple[str, ...]) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    _leave(home, json.dumps({"pid": ended.pid}))
    code, said, _ = xorj(*verb)
    assert (code, said["error"]["code"]) == (3, "dead_world")


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", json.dumps({"pid": os.getpid()})])
def test_a_spoilt_description_of_the_world_is_named(xorj: Any, home: Path, text: str) -> None:
    _leave(home, text)
    code, said, _ = xorj("status")
    assert (code, said["error"]["code"]) == (3, "bad_world_file")
    assert "world.json" in said["error"]["message"]


@pytest.mark.parametrize(
    "arguments",
    [(), ("nonsense",), ("kill",), ("demo", "--trades", "0"), ("demo", "--trades", "x"), ("demo", "--recorded", "/no")],
)
def test_wrong_usage_ends_with_2_and_names_the_mistake(xorj: Any, arguments: tuple[str, ...]) -> None:
    code, said, _ = xorj(*arguments)
    assert (code, said["error"]["code"]) == (2, "usage")
    assert said["error"]["message"]


def test_a_person_sees_wrong_usage_on_standard_error_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["xorj", "kill"])
    assert main() == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "--reason" in said.err


def test_a_demo_that_cannot_start_says_why(
    xorj: Any, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: str) -> str:
        code, said, err = xorj("demo", "--headless", *arguments)
        assert (code, said["error"]["code"]) == (3, "start_failed")
        assert "Traceback" not in err
        return str(said["error"]["message"])

    assert "verified_tokens.csv" in refused("--recorded", str(tmp_path))
    assert "make setup" in refused()  # this home has no caches
    with monkeypatch.context() as port:
        port.setenv("XORJ_BROKER_PORT", "many")
        assert "XORJ_BROKER_PORT must be a port number" in refused()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XORJ_HOME", str(tmp_path / "file"))
    assert "Not a directory" in refused()
    assert not (home / "world" / "pids.json").exists()


def test_ctrl_c_is_told_as_stopped(xorj: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "open_world", interrupted)
    code, said, err = xorj("status")
    assert (code, said["error"]["code"]) == (3, "stopped")
    assert "Traceback" not in err


def test_a_defect_is_told_as_one_with_its_stack_trace(xorj: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("nothing divides")

    monkeypatch.setattr(commands, "open_world", broken)
    code, said, err = xorj("status")
    assert (code, said["error"]["code"]) == (3, "defect")
    assert "ZeroDivisionError: nothing divides" in said["error"]["message"]
    assert "Traceback" in err
