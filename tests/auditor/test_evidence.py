"""`xorj-verify-evidence` on the recorded evidence of a real trade: it holds, and what is forged fails at its step."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xorj_contracts.codec import decode, encode
from xorj_core.checkpoint import KeyType, NoteKey, parse_checkpoint, parse_key
from xorj_core.evidence import Evidence, EvidenceRecord, EvidenceRefused, read_evidence, write_evidence
from xorj_core.evidence_check import Step, StepResult, Trust, judge_evidence
from xorj_core.facts import Fact
from xorj_evidence.main import decode_fact, main, verifies

FILE = Path(__file__).parents[1] / "histories" / "one-trade.evidence.json"
REAL = read_evidence(FILE.read_bytes())


def judged(evidence: Evidence, trust: Trust = Trust()) -> StepResult:  # noqa: B008 - immutable
    return judge_evidence(evidence, trust, decode_fact, verifies)[-1]


def with_record(index: int, record: EvidenceRecord) -> Evidence:
    return replace(REAL, records=(*REAL.records[:index], record, *REAL.records[index + 1 :]))


def record_of(kind: str) -> int:
    """Where the first record of a kind of fact stands in the file."""
    return next(n for n, one in enumerate(REAL.records) if type(decode(one.value).fact).__name__ == kind)


def forged(kind: str, **changes: object) -> Evidence:
    """The evidence with one fact changed, as a log whose auditor colludes would hold it: proofs are not looked at."""
    index = record_of(kind)
    decoded = decode(REAL.records[index].value)
    fact: Fact = replace(decoded.fact, **changes)  # type: ignore[arg-type]
    return with_record(index, replace(REAL.records[index], value=encode(decoded.envelope, fact)))


def judged_behind_proofs(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> StepResult:
    monkeypatch.setattr("xorj_core.evidence_check.check_inclusion", lambda *arguments: None)
    return judged(evidence)


def test_the_evidence_of_a_real_trade_holds() -> None:
    results = judge_evidence(REAL, Trust(parse_key(REAL.log_key)), decode_fact, verifies)
    assert [result.step for result in results] == list(Step)
    assert all(result.passed is not False for result in results), results


def test_every_witness_named_in_the_file_has_cosigned_or_the_step_fails() -> None:
    stranger = NoteKey("stranger", KeyType.COSIGNATURE_V1, bytes(32))
    assert judged(REAL, Trust(None, stranger)).step is Step.WITNESS
    cosigners = {one.name for one in parse_checkpoint(REAL.checkpoint.encode()).signatures}
    for text in REAL.witness_keys:
        if parse_key(text).name in cosigners:
            assert judged(REAL, Trust(None, parse_key(text))).step is Step.END


def test_another_logs_key_fails_at_the_checkpoint() -> None:
    key = parse_key(REAL.log_key)
    other = NoteKey(key.name, key.type, bytes(31) + b"\x01")
    assert judged(REAL, Trust(other)) == replace(judged(REAL, Trust(other)), step=Step.CHECKPOINT, passed=False)


@pytest.mark.parametrize("number", range(len(REAL.records)))
def test_a_changed_record_is_named_by_its_entry(number: int) -> None:
    record = REAL.records[number]
    for changed in (
        replace(record, value=(record.value or b"") + b"\x00"),
        replace(record, timestamp_ms=record.timestamp_ms + 1),
        replace(record, appended_at_us=record.appended_at_us + 1),
        replace(record, offset=record.offset + 1),
        replace(record, proof=record.proof[:-1]),
        replace(record, proof=(*record.proof, bytes(32))),
        replace(record, proof=(b"", *record.proof[1:])),
    ):
        result = judged(with_record(number, changed))
        assert (result.step, result.passed) == (Step.INCLUSION, False)
        assert f"entry {record.index}" in result.detail


@pytest.mark.parametrize(
    ("kind", "changes", "step"),
    [
        ("PortfolioReconciled", {"trader": b"\x07" * 32}, Step.COMPARISON),
        ("PortfolioReconciled", {"total_value_micro_usd": 1}, Step.COMPARISON),
        ("TradeIntended", {"amount_out_min_base_units": 1}, Step.DECISION),
        ("TradeIntended", {"amount_in_base_units": 1}, Step.DECISION),
        ("AttemptPlanned", {"message": b"\x80\x01"}, Step.BYTES),
        ("AttemptPlanned", {"blockhash": b"\x07" * 32}, Step.BYTES),
        ("TradeSigned", {"signature": bytes(64)}, Step.SIGNATURE),
        ("TradeSigned", {"transaction": b"\x01"}, Step.SIGNATURE),
        ("TradeFinalized", {"amount_out_base_units": 1}, Step.END),
        ("TradeFinalized", {"signature": b"\x07" * 64}, Step.END),
        ("TradeFinalized", {"slot": 2**50}, Step.END),
    ],
)
def test_a_forged_fact_fails_at_its_own_step(
    kind: str, changes: dict[str, object], step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = judged_behind_proofs(forged(kind, **changes), monkeypatch)
    assert (result.step, result.passed) == (step, False), result


@pytest.mark.parametrize("kind", ["RankingObserved", "SettingsChanged", "PortfolioReconciled"])
def test_without_what_the_delta_rests_on_the_comparison_fails(kind: str) -> None:
    index = record_of(kind)
    rest = replace(REAL, records=(*REAL.records[:index], *REAL.records[index + 1 :]))
    result = judged(rest)
    assert (result.step, result.passed) == (Step.COMPARISON, False)


def test_an_intent_audited_after_its_signature_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    intent, signed = record_of("TradeIntended"), record_of("TradeSigned")
    late = replace(REAL.records[intent], index=REAL.records[signed].index + 1)
    others = [one for n, one in enumerate(REAL.records) if n != intent]
    moved = replace(REAL, records=tuple(sorted([*others, late], key=lambda one: one.index)))
    assert judged_behind_proofs(moved, monkeypatch).step is Step.AUDITED


def test_without_its_end_the_evidence_fails() -> None:
    index = record_of("TradeFinalized")
    rest = replace(REAL, records=(*REAL.records[:index], *REAL.records[index + 1 :]))
    assert judged(rest).step is Step.END


def test_what_was_written_reads_the_same() -> None:
    assert read_evidence(write_evidence(REAL)) == REAL


PLACES = ["format", "trade_id", "checkpoint", "log_key", "witness_keys", "records"]
junk = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)


@given(st.sampled_from(PLACES), junk)
@settings(deadline=None)
def test_junk_in_any_field_is_refused_or_fails_never_an_error(place: str, value: object) -> None:
    body = json.loads(FILE.read_bytes())
    body[place] = value
    try:
        evidence = read_evidence(json.dumps(body))
    except EvidenceRefused:
        return
    assert judged(evidence).passed is False or place == "witness_keys"


@given(st.binary(max_size=200))
def test_garbage_is_no_evidence(data: bytes) -> None:
    with pytest.raises(EvidenceRefused):
        read_evidence(data)


def test_the_command_says_it_with_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(FILE), "--json", "--auditor-key", REAL.log_key]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True
    bad = tmp_path / "bad.json"
    bad.write_text(write_evidence(replace(REAL, trade_id=bytes(32))))
    assert main([str(bad), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failed_step"] == Step.RECORDS
    bad.write_text("{}")
    assert main([str(bad)]) == 3
    assert main([str(tmp_path / "absent")]) == 3
    with pytest.raises(SystemExit) as usage:
        main([str(FILE), "--auditor-key", "nonsense"])
    assert usage.value.code == 2
