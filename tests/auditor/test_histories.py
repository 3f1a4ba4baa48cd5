"""Recorded logs of our own runs: replay must decide them again for ever, and find what was forged in one of them.

Record a new one with `make history NAME=…` while a world runs.
"""

from pathlib import Path

import pytest
from xorj_auditor.checkpoints import log_keys
from xorj_auditor.export import ExportRefused, Header, StoredNote, open_export, read_export, verify_export
from xorj_auditor.replay import ReplayReport
from xorj_auditor.replay_source import replay_entries
from xorj_contracts.codec import decode
from xorj_core.audit_chain import AuditEntry
from xorj_core.facts import AttemptPlanned

HISTORIES = Path(__file__).parents[1] / "histories"
MUST_AGREE = ["three-trades.jsonl.gz", "killed.jsonl.gz", "signatures.jsonl.gz"]
BEFORE_SIGNATURES_SAID_WHY = {"three-trades.jsonl.gz", "killed.jsonl.gz"}
MUST_FAIL = "forged-minimum.jsonl.gz"
BYTES_MAX = 200 * 1024


def read(name: str) -> tuple[Header, list[AuditEntry | StoredNote]]:
    with open_export(HISTORIES / name) as file:
        header, items = read_export(file)
        return header, list(items)


async def replayed(name: str) -> ReplayReport:
    header, items = read(name)
    return await replay_entries([item for item in items if isinstance(item, AuditEntry)], header.registry)


def test_every_history_is_small_and_none_is_left_out() -> None:
    found = sorted(path.name for path in HISTORIES.glob("*.jsonl*"))
    assert found == sorted([*MUST_AGREE, MUST_FAIL])
    assert all((HISTORIES / name).stat().st_size <= BYTES_MAX for name in found)


@pytest.mark.parametrize("name", MUST_AGREE)
def test_a_history_is_whole(name: str) -> None:
    header, items = read(name)
    verdict = verify_export(items, log_keys(header.origin, header.registry))
    assert verdict.fault is None
    assert verdict.covered == verdict.entries == header.entries


@pytest.mark.parametrize("name", MUST_AGREE)
async def test_every_decision_of_a_history_is_decided_again_the_same_way(name: str) -> None:
    report = await replayed(name)
    assert not report.differences, report.differences
    if name in BEFORE_SIGNATURES_SAID_WHY:
        open_kinds = {(one.kind, one.reason) for one in report.open_questions}
        assert open_kinds == {("TradeSigned", "of a version that did not record what it rests on")}
    else:
        assert not report.open_questions, report.open_questions
    assert report.agreed == report.decisions - report.undecided > 10


async def test_a_forged_decision_is_found_with_both_sides() -> None:
    """One intent's minimum is lowered; leaves and links are computed anew, the checkpoint is the old one."""
    header, items = read(MUST_FAIL)
    verdict = verify_export(items, log_keys(header.origin, header.registry))
    assert verdict.fault is not None
    assert "rewritten" in verdict.fault.reason
    report = await replayed(MUST_FAIL)
    (finding,) = report.differences
    (difference,) = finding.differences
    assert (finding.kind, difference.field, difference.recorded) == ("TradeIntended", "amount_out_min_base_units", "1")
    assert int(difference.decided) > 1


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "\x00", '{"format": "xorj-audit-export-v1"}', '{"format": "other", "origin": "a", "entries": 1}'],
)
def test_what_is_no_export_is_refused_with_its_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    with file.open() as opened, pytest.raises(ExportRefused, match="line 1"):
        read_export(opened)


def test_a_broken_line_is_refused_with_its_number(tmp_path: Path) -> None:
    with open_export(HISTORIES / MUST_AGREE[0]) as whole:
        lines = [whole.readline() for _ in range(6)]
    for broken in ("{", '{"entry": []}', '{"entry": [0, 9, "", "", 0, 0, 1, 0, null, "", null, 0, "", ""]}', "[]"):
        file = tmp_path / "file"
        file.write_text("".join([*lines[:3], broken + "\n", *lines[3:]]))
        with file.open() as opened, pytest.raises(ExportRefused, match="line 4"):
            list(read_export(opened)[1])


async def test_a_signature_over_what_the_policy_refuses_is_found() -> None:
    """In the plan of the first signature, the blockhash beside the bytes is another one."""
    header, items = read("signatures.jsonl.gz")
    entries = [item for item in items if isinstance(item, AuditEntry)]
    at = next(at for at, entry in enumerate(entries) if b"AttemptPlanned" in (entry.value or b""))
    value = entries[at].value
    assert value is not None
    plan = decode(value).fact
    assert isinstance(plan, AttemptPlanned)
    # The blockhash stands twice: in the message, and beside it.
    head, _, tail = value.rpartition(plan.blockhash)
    entries[at] = entries[at]._replace(value=head + bytes(32) + tail)
    report = await replay_entries(entries, header.registry)
    (finding,) = report.differences
    assert finding.kind == "TradeSigned"
    assert finding.reason == "its inputs give SigningRefused"
