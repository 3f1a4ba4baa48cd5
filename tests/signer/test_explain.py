"""`xorj signer explain`: what it shows is what the signer would decide, and garbage gets an answer, too."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from solders.signature import Signature
from typer.testing import CliRunner, Result
from xorj_cli.commands import app
from xorj_contracts.codec import to_message
from xorj_core.base58 import address_text
from xorj_core.policy.decide import Denied, decide_signing
from xorj_core.policy.rules import RULES
from xorj_localnet.policy import LOCAL_POLICY

from tests.signer.recorded import recorded_messages
from tests.signer.test_policy import drain
from tests.signer.trades import DEPLOYMENT, LIMITS, NOW_MS, Bytes, Trade, honest_trade, some_key

BOT = some_key("bot")
EXPLAIN = ["signer", "explain"]


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The local world's policy, named by the environment as for the signer."""
    path = tmp_path / "policy.toml"
    path.write_text(LOCAL_POLICY)
    monkeypatch.setenv("XORJ_SIGNER_POLICY_FILE", str(path))
    return path


def records_file(directory: Path, trade: Trade, *without: str) -> Path:
    """All that the signer would know of a trade."""
    body: dict[str, Any] = {
        "intent": MessageToDict(to_message(trade.intent)),
        "plan": MessageToDict(to_message(trade.plan)),
        "settings": MessageToDict(to_message(trade.settings)),
        "price_in": {"fact": MessageToDict(to_message(trade.price_in)), "timestamp_ms": NOW_MS},
        "price_out": {"fact": MessageToDict(to_message(trade.price_out)), "timestamp_ms": NOW_MS},
        "now_ms": NOW_MS,
        "bot_authority": trade.bot.hex(),
        "genesis_hash": DEPLOYMENT.genesis_hash.hex(),
    }
    path = directory / "records.json"
    path.write_text(json.dumps({name: value for name, value in body.items() if name not in without}))
    return path


def explained(*arguments: str, stdin: bytes | None = None) -> tuple[int, dict[str, Any]]:
    """Exit code and the one JSON object on standard output."""
    result: Result = CliRunner().invoke(app, [*EXPLAIN, "--json", *arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    (line,) = result.stdout.splitlines()
    return result.exit_code, json.loads(line)


def verdicts(body: dict[str, Any]) -> dict[str, str]:
    return {rule["name"]: rule["verdict"] for rule in body["rules"]}


@pytest.mark.usefixtures("policy")
def test_an_honest_trade_passes_every_rule(tmp_path: Path) -> None:
    trade = honest_trade(BOT)
    code, body = explained("--intent-file", str(records_file(tmp_path, trade)))
    assert (code, body["answer"]) == (0, "sign"), body["rules"]
    assert verdicts(body) == {rule.name: "pass" for rule in RULES}
    shown = body["transaction"]
    assert shown["bot_trade"]["seq"] == trade.intent.trade_seq
    assert shown["bot_trade"]["accounts"]["bot authority"] == address_text(BOT)
    assert shown["bot_trade"]["amount_out_min"] == str(trade.intent.amount_out_min_base_units)
    assert [item.get("name") for item in shown["instructions"][:2]] == [
        "set compute unit limit",
        "set compute unit price",
    ]
    assert shown["accounts"][0]["roles"] == ["fee payer", "signer", "writable"]


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize(
    ("bend", "rule"),
    [
        (lambda: honest_trade(BOT, amount_out_min=1), "minimum-out"),
        (lambda: honest_trade(BOT, made=Bytes(before=[drain(1)])), "one-trade-only"),
        (lambda: honest_trade(BOT, made=Bytes(unit_price=2**40)), "fee"),
        (lambda: honest_trade(BOT, made=Bytes(hashed=False)), "accounts-hash"),
        (lambda: honest_trade(BOT, made=Bytes(order={"seq": 2})), "arguments"),
        (lambda: honest_trade(BOT).with_settings(enabled=False), "owner-allows"),
        (lambda: honest_trade(BOT).with_plan(attempt=9), "attempt-number"),
        (lambda: honest_trade(BOT).with_plan(message=b"\x80rubbish"), "one-trade-only"),
        (lambda: honest_trade(BOT).with_plan(message=b"\x81" + bytes(50)), "one-trade-only"),
    ],
)
def test_the_rule_that_refuses_is_the_one_by_which_the_signer_refuses(
    bend: Callable[[], Trade], rule: str, tmp_path: Path
) -> None:
    trade = bend()
    code, body = explained("--intent-file", str(records_file(tmp_path, trade)))
    assert (code, body["answer"]) == (1, "refuse")
    decision = decide_signing(trade.inputs(), LIMITS)
    assert isinstance(decision, Denied)
    first = next(item for item in body["rules"] if item["verdict"] == "refuse")
    assert (first["name"], first["reason"]) == (rule, decision.reason.name)


@pytest.mark.usefixtures("policy")
def test_without_records_what_needs_them_cannot_be_told(tmp_path: Path) -> None:
    trade = honest_trade(BOT)
    code, body = explained(base64.b64encode(trade.plan.message).decode())
    assert (code, body["answer"]) == (3, "cannot tell")
    said = verdicts(body)
    assert [name for name, verdict in said.items() if verdict == "pass"] == [
        "one-trade-only",
        "swap-program",
        "accounts-hash",
        "fee",
    ]
    assert set(said.values()) == {"pass", "cannot tell"}
    for without in ("settings", "price_out", "bot_authority", "genesis_hash", "intent"):
        code, body = explained("--intent-file", str(records_file(tmp_path, trade, without)))
        assert (code, body["answer"]) == (3, "cannot tell"), without


@pytest.mark.usefixtures("policy")
def test_a_transaction_is_taken_as_text_as_a_file_and_from_standard_input(tmp_path: Path) -> None:
    message = honest_trade(BOT).plan.message
    signature = os.urandom(64)
    whole = b"\x01" + signature + message
    raw, text = tmp_path / "raw", tmp_path / "text"
    raw.write_bytes(whole)
    text.write_bytes(base64.b64encode(whole) + b"\n")
    answers = [
        explained(base64.b64encode(whole).decode()),
        explained(str(raw)),
        explained(str(text)),
        explained("-", stdin=whole),
        explained("-", stdin=base64.b64encode(whole)),
    ]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][1]["signatures"] == [str(Signature(signature))]
    assert answers[0][1]["transaction"] == explained(base64.b64encode(message).decode())[1]["transaction"]


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize(
    "given", ["", " ", "???", "no such file", "AAA", base64.b64encode(b"\x05short").decode(), "A" * 70_001, "\0"]
)
def test_garbage_gets_a_clear_error(given: str) -> None:
    code, body = explained(given)
    assert code in (1, 2)
    if code == 2:
        assert body["error"]["code"] == "not_a_transaction"
        assert body["error"]["hint"]
    else:  # bytes that decode as base64 and then are no message
        assert body["answer"] == "refuse"
        assert body["transaction"] == {}


@pytest.mark.usefixtures("policy")
def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    message = base64.b64encode(honest_trade(BOT).plan.message).decode()
    broken = tmp_path / "broken.json"
    broken.write_text('{"intnet": {}}')
    for arguments, error in (
        ((), "no_transaction"),
        ((message, "--bot-authority", "nobody"), "bad_address"),
        ((message, "--policy", "/nowhere/policy.toml"), "no_policy"),
        ((message, "--policy", str(broken)), "bad_policy"),
        ((message, "--intent-file", str(broken)), "bad_records"),
        ((message, "--intent-file", "/nowhere/records.json"), "no_records"),
        (("--trade", "xyz"), "bad_trade_id"),
    ):
        code, body = explained(*arguments)
        assert (code, body["error"]["code"]) == (2, error)


@pytest.mark.usefixtures("policy")
def test_a_person_sees_the_refusal_and_the_accounts(tmp_path: Path) -> None:
    trade = honest_trade(BOT, amount_out_min=1)
    result = CliRunner().invoke(app, [*EXPLAIN, "--intent-file", str(records_file(tmp_path, trade))])
    assert result.exit_code == 1
    for said in (
        "minimum-out",
        "MINIMUM_OUT_TOO_LOW",
        "fee payer",
        "set compute unit limit",
        "refused",
        "bot_trade seq: 1",
    ):
        assert said in result.stdout


@pytest.mark.usefixtures("policy")
def test_real_transactions_of_others_are_shown_and_refused() -> None:
    for recorded in recorded_messages():
        code, body = explained(base64.b64encode(recorded.message).decode())
        assert code in (1, 3), recorded.name
        assert len(body["transaction"]["accounts"]) > 10
        assert len(body["transaction"]["instructions"]) >= 1
