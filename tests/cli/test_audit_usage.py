"""`xorj audit`: a question that holds no entry, or has its sizes the wrong way round, is a mistake and no verdict."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typer.testing import CliRunner
from xorj_cli import audit_proofs
from xorj_cli.audit_command import app
from xorj_cli.output import Exit, Failure


@pytest.mark.parametrize("verb", ["verify", "replay"])
@pytest.mark.parametrize("bounds", [("9", "3"), ("4", "4"), ("0", "0")])
def test_a_range_without_entries_is_a_mistake(verb: str, bounds: Sequence[str]) -> None:
    start, end = bounds
    ended = CliRunner().invoke(app, [verb, "--from", start, "--to", end, "--json"])
    assert ended.exit_code == Exit.USAGE
    assert json.loads(ended.stdout)["error"]["code"] == "usage"


def test_sizes_the_wrong_way_round_do_not_accuse_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def nobody(_: Any) -> Any:
        yield None

    async def stated(_: Any, __: Any, text: str) -> tuple[int, bytes]:
        return int(text), bytes(32)

    monkeypatch.setattr(audit_proofs, "reading", nobody)
    monkeypatch.setattr(audit_proofs, "_stated", stated)
    place: Any = None
    with pytest.raises(Failure) as failed:
        asyncio.run(audit_proofs.consistency(place, "5", "3"))
    assert failed.value.exit_code is Exit.USAGE
