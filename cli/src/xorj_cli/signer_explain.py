"""`xorj signer explain`: prints a transaction as the signer reads it, and what each rule of its policy says.

The rules are the signer's own, asked one by one. What the ledger, the kill switch and the audit cover say depends on
the moment and is not asked here.

1. A rule whose records are not at hand is answered "cannot tell", never "pass".
2. Settings and prices from a log are those that stood there when the attempt was planned.
"""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table
from solders.signature import Signature
from xorj_core.base58 import address_bytes, address_text
from xorj_core.facts import AttemptPlanned
from xorj_core.policy.case import Case, Reading, read_message
from xorj_core.policy.decide import Verdict, explain
from xorj_core.policy.file import PolicyInvalid, parse_policy
from xorj_core.policy.limits import PolicyLimits, policy_sha256

from xorj_cli.decoded_transaction import NotATransaction, described, message_of, transaction_bytes
from xorj_cli.output import Exit, Failure, stdout
from xorj_cli.running import open_world, world_file
from xorj_cli.signing_records import Records, records_from_file, records_of_trade

POLICY_VARIABLE = "XORJ_SIGNER_POLICY_FILE"
STDIN_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for; one of `transaction` and `trade_id` is given."""

    transaction: str | None
    trade_id: str | None
    attempt: int | None
    intent_file: Path | None
    policy: Path | None
    bot_authority: str | None


async def signer_explain(wish: Wish) -> tuple[dict[str, Any], Exit]:
    """The report; 0 if every rule passes, 1 if one refuses, 3 if none refuses but one cannot tell. Raises Failure."""
    limits = _limits(wish.policy)
    records = await _records(wish)
    message, signatures = _message(wish, records.plan)
    case = _case(message, limits, records, wish)
    verdicts = explain(case)
    refused = [verdict for verdict in verdicts if verdict.denied]
    unknown = [verdict for verdict in verdicts if verdict.missing]
    answer = "refuse" if refused else "cannot tell" if unknown else "sign"
    body = {
        "answer": answer,
        "policy_sha256": policy_sha256(limits).hex(),
        "message_bytes": len(message),
        "signatures": [str(Signature(signature)) for signature in signatures],
        "transaction": described(case.reading, limits.vault_program),
        "rules": [_rule(verdict) for verdict in verdicts],
    }
    ends = {"sign": Exit.OK, "refuse": Exit.CHECK_FAILED, "cannot tell": Exit.CANNOT_TELL}
    return body, ends[answer]


def show_explain(body: dict[str, Any]) -> None:
    """The report for a person."""
    transaction = body["transaction"]
    if transaction:
        _show_transaction(transaction)
    rules = Table("rule", "verdict", "why", title="rules")
    for rule in body["rules"]:
        rules.add_row(rule["name"], rule["verdict"], rule.get("detail", rule["demands"]))
    stdout.print(rules)
    said = {"sign": "every rule passes", "refuse": "refused", "cannot tell": "no rule refuses, some cannot tell"}
    stdout.print(f"{said[body['answer']]} (policy {body['policy_sha256'][:16]}…)")


def _show_transaction(transaction: dict[str, Any]) -> None:
    accounts = Table("#", "address", "what", "roles", title=f"v0 message, blockhash {transaction['blockhash']}")
    accounts.columns[1].overflow = "fold"  # an address that is cut says nothing
    for account in transaction["accounts"]:
        where = f"entry {account['entry']} of table {account['table']}" if "table" in account else ""
        what = " ".join(part for part in (account["name"], where) if part)
        accounts.add_row(str(account["index"]), account["address"] or "?", what, ", ".join(account["roles"]))
    stdout.print(accounts)
    for number, instruction in enumerate(transaction["instructions"]):
        name = " ".join(part for part in (instruction["program_name"], instruction.get("name")) if part)
        program = name or f"program {instruction['program'] or '?'}"
        stdout.print(f"instruction {number}: {program}, accounts {instruction['accounts']}", markup=False)
        stdout.print(f"  data {instruction['data'] or '(none)'}", markup=False)
    if trade := transaction.get("bot_trade"):
        limit, price = transaction["compute_unit_limit"], transaction["compute_unit_price_micro_lamports"]
        stdout.print(f"compute: at most {limit} units at {price} micro-lamports")
        for name, value in trade.items():
            if name not in ("accounts", "swap_accounts"):
                stdout.print(f"bot_trade {name}: {value}")
        for name, address in trade["accounts"].items():
            stdout.print(f"bot_trade {name}: {address}")


def _rule(verdict: Verdict) -> dict[str, Any]:
    body: dict[str, Any] = {"name": verdict.rule.name, "demands": verdict.rule.demands, "verdict": "pass"}
    if verdict.denied is not None:
        denied = verdict.denied
        body |= {"verdict": "refuse", "reason": denied.reason.name, "detail": f"{denied.reason.name}: {denied.detail}"}
    elif verdict.missing is not None:
        body |= {"verdict": "cannot tell", "missing": verdict.missing.value, "detail": f"lacks {verdict.missing.value}"}
    return body


def _case(message: bytes, limits: PolicyLimits, records: Records, wish: Wish) -> Case:
    plan = records.plan
    tables = () if plan is None else plan.lookup_tables
    reading = read_message(message, tables, limits.vault_program)
    if plan is None and reading.message is not None and reading.message.lookups and reading.accounts is None:
        reading = Reading(reading.message)  # not malformed: what its tables hold is not known here
    elif plan is not None and plan.message != message:
        plan = replace(plan, message=message)
    return Case(
        limits=limits,
        reading=reading,
        known_intent=records.intent,
        known_plan=plan,
        known_settings=records.settings,
        known_settings_signed=records.settings_signed(limits.vault_program),
        known_prices=records.prices,
        known_bot_authority=_bot_authority(wish, records),
        now_ms=records.now_ms,
    )


def _limits(policy: Path | None) -> PolicyLimits:
    named = os.environ.get(POLICY_VARIABLE)
    path = policy or (Path(named) if named else world_file().parent / "parts" / "signer-policy.toml")
    hint = f"name the signer's policy file with --policy or {POLICY_VARIABLE}, or run a local world"
    try:
        return parse_policy(path.read_text())
    except PolicyInvalid as error:
        raise Failure("bad_policy", f"{path}: {error}", hint, Exit.USAGE) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Failure("no_policy", f"{path}: {error}", hint, Exit.USAGE) from error


async def _records(wish: Wish) -> Records:
    if wish.trade_id is not None:
        try:
            trade_id = bytes.fromhex(wish.trade_id)
        except ValueError as error:
            raise Failure("bad_trade_id", f"--trade: {error}", "a trade id is 64 hex digits", Exit.USAGE) from error
        return await records_of_trade(open_world(), trade_id, wish.attempt)
    return Records() if wish.intent_file is None else records_from_file(wish.intent_file)


def _message(wish: Wish, plan: AttemptPlanned | None) -> tuple[bytes, tuple[bytes, ...]]:
    """The message to judge, and the signatures that came with it."""
    if wish.transaction is None:
        if plan is None:
            hint = "give it as base64, as a file, as -, or name a planned one with --trade"
            raise Failure("no_transaction", "there is no transaction to explain", hint, Exit.USAGE)
        return plan.message, ()
    try:
        return message_of(transaction_bytes(_given(wish.transaction)))
    except NotATransaction as error:
        hint = "a transaction or its message, as base64, as a file, or - for standard input"
        raise Failure("not_a_transaction", str(error), hint, Exit.USAGE) from error


def _given(named: str) -> bytes:
    if named == "-":
        data = sys.stdin.buffer.read(STDIN_BYTES_MAX + 1)
    else:
        try:
            path = Path(named)
            if not path.is_file():
                return named.encode(errors="replace")
            with path.open("rb") as file:
                data = file.read(STDIN_BYTES_MAX + 1)
        except OSError:  # longer than a path may be, so that it is the transaction itself
            return named.encode(errors="replace")
        except ValueError as error:
            raise NotATransaction(str(error)) from error
    if len(data) > STDIN_BYTES_MAX:
        raise NotATransaction(f"more than {STDIN_BYTES_MAX} bytes")
    return data


def _bot_authority(wish: Wish, records: Records) -> bytes | None:
    if wish.bot_authority is None:
        return records.bot_authority
    try:
        return address_bytes(wish.bot_authority)
    except ValueError as error:
        hint = f"an address such as {address_text(bytes(32))}"
        raise Failure("bad_address", f"--bot-authority: {error}", hint, Exit.USAGE) from error
