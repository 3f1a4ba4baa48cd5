"""`xorj-verify-evidence FILE`: says of one trade whether its evidence holds, and otherwise which step fails first.

Reads one file and nothing else: no database, no network, no log, no configuration.

1. Exit code 0: every step holds; 1: a step fails, and it is named; 2: wrong use; 3: the file is no evidence or cannot
   be read.
2. Without `--auditor-key` the key that the file names is used, and the output says so: then the file is only of one
   piece, whoever made it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from xorj_contracts.codec import decode
from xorj_core.checkpoint import CheckpointRefused, NoteKey, parse_key
from xorj_core.evidence import FILE_BYTES_MAX, Evidence, EvidenceRefused, read_evidence
from xorj_core.evidence_check import StepResult, Trust, judge_evidence
from xorj_core.facts import Fact

HOLDS, FAILS, USAGE, CANNOT_TELL = 0, 1, 2, 3


def verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is the Ed25519 signature of `message` by `public_key`."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def decode_fact(value: bytes | None) -> tuple[Fact, int]:
    """The fact in a record value and its decision version; raises ValueError."""
    decoded = decode(value)
    return decoded.fact, decoded.envelope.decision_version


def judge_file(text: bytes, trust: Trust) -> tuple[Evidence, tuple[StepResult, ...]]:
    """The evidence in a file and what its judgement found; raises EvidenceRefused."""
    evidence = read_evidence(text)
    return evidence, judge_evidence(evidence, trust, decode_fact, verifies)


def main(arguments: Sequence[str] | None = None) -> int:
    """The process's exit code."""
    given = _parser().parse_args(arguments)
    try:
        with Path(given.file).open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1)
        evidence, results = judge_file(text, Trust(given.auditor_key, given.witness_key))
    except (OSError, EvidenceRefused) as error:
        _say({"error": {"code": "unreadable", "message": str(error), "hint": "is it an evidence file?"}}, given.json)
        return CANNOT_TELL
    holds = all(result.passed is not False for result in results)
    _say(_body(evidence, results, holds=holds), given.json)
    return HOLDS if holds else FAILS


def _body(evidence: Evidence, results: tuple[StepResult, ...], *, holds: bool) -> dict[str, Any]:
    failed = next((result for result in results if result.passed is False), None)
    return {
        "holds": holds,
        "trade_id": evidence.trade_id.hex(),
        "log_key": evidence.log_key,
        "steps": [{"step": r.step.value, "passed": r.passed, "detail": r.detail} for r in results],
        "failed_step": failed.step.value if failed else None,
        "reason": failed.detail if failed else None,
    }


def _say(body: dict[str, Any], as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(body) + "\n")
    elif "error" in body:
        sys.stderr.write(f"{body['error']['message']}\n")
    else:
        marks = {True: "holds ", False: "FAILS ", None: "      "}
        lines = [f"{marks[step['passed']]} {step['step']}: {step['detail']}" for step in body["steps"]]
        end = f"trade {body['trade_id']}: " + ("the evidence holds" if body["holds"] else "the evidence FAILS")
        sys.stdout.write("\n".join([*lines, end]) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="xorj-verify-evidence", description=__doc__.partition("\n")[0])
    parser.add_argument("file", metavar="FILE", help="written by `xorj audit evidence TRADE -o FILE`")
    parser.add_argument("--auditor-key", type=_key, help="the log's key that you trust: name+id+base64")
    parser.add_argument("--witness-key", type=_key, help="a witness's key that you trust: name+id+base64")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    return parser


def _key(text: str) -> NoteKey:
    try:
        return parse_key(text)
    except CheckpointRefused as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
