"""`xorj signer selftest`: one JSON object on standard output, and exit codes that tell the cures apart."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner
from xorj_cli.commands import app
from xorj_localnet.hsm import provision
from xorj_localnet.ports import choose_port

LOCAL = {"XORJ_GENESIS_HASH": "local", "XORJ_LOCAL_GENESIS_HASH": "local"}
ARN = "arn:aws:kms:eu-west-1:123456789012:key/6f9619ff-8b86-d011-b42d-00cf4fc964ff"


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a signer with a key in a file, and nothing of ours beside it."""
    for name in [name for name in os.environ if name.startswith("XORJ_")]:
        monkeypatch.delenv(name)
    return {**provision(tmp_path, None).settings, **LOCAL}


def run(told: dict[str, str], *arguments: str) -> tuple[int, dict[str, object]]:
    done = CliRunner().invoke(app, ["signer", "selftest", "--json", *arguments], env=told)
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 1, done.output
    return done.exit_code, json.loads(lines[0])


def code_of(body: dict[str, object]) -> object:
    error = body["error"]
    assert isinstance(error, dict)
    return error["code"]


def test_a_key_that_works_is_told_with_its_address(told: dict[str, str]) -> None:
    exit_code, body = run(told, "--signatures", "10")
    assert exit_code == 0
    assert (body["passed"], body["provider"], body["can_sign_trades"]) == (True, "file", True)
    assert body["public_key"] == body["expected_public_key"] == told["XORJ_SIGNER_PUBLIC_KEY"]
    assert body["signatures"] == {"asked": 10, "verified": 10}


def test_the_first_time_no_key_is_expected_yet(told: dict[str, str]) -> None:
    address = told.pop("XORJ_SIGNER_PUBLIC_KEY")
    exit_code, body = run(told, "--signatures", "2")
    assert (exit_code, body["public_key"], body["expected_public_key"]) == (0, address, None)


def test_settings_that_cannot_work_end_with_2(told: dict[str, str]) -> None:
    exit_code, body = run({**told, "XORJ_SIGNER_" + "KEY_FIEL": "x"})
    assert (exit_code, code_of(body)) == (2, "misconfigured")
    assert "KEY_FIEL" in str(body)


def test_another_key_than_the_expected_one_ends_with_1(told: dict[str, str]) -> None:
    exit_code, body = run({**told, "XORJ_SIGNER_PUBLIC_KEY": "So11111111111111111111111111111111111111112"})
    assert (exit_code, code_of(body)) == (1, "wrong_key")


def test_a_provider_that_is_not_there_ends_with_3(told: dict[str, str], tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    kms = {
        "XORJ_SIGNER_PROVIDER": "aws-kms",
        "XORJ_SIGNER_AWS_KEY_ARN": ARN,
        "XORJ_SIGNER_AWS_CREDENTIALS_FILE": str(credentials),
        "XORJ_SIGNER_AWS_ENDPOINT_URL": f"http://127.0.0.1:{choose_port()}",
    }
    exit_code, body = run(kms)
    assert (exit_code, code_of(body)) == (3, "unreachable")
