"""The shape of a benchmark's report, and its arithmetic on known data."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from solders.pubkey import Pubkey
from xorj_cli.bench.command import report_table
from xorj_cli.bench.figures import Burst, Paced, burst_figures, paced_figures
from xorj_cli.bench.hops import HopFigures
from xorj_cli.bench.report import Figure, Limit, machine, percentile, report
from xorj_cli.bench.trade import PLAN
from xorj_cli.stories import Story
from xorj_localnet.genesis.placed import accounts_of, place_vaults
from xorj_localnet.market.scenario import load_scenario
from xorj_solana.programs import LOCAL_VAULT_PROGRAM
from xorj_solana.vault import parse_vault, trade_authority_address, vault_address

FIGURE_KEYS = {"name", "value", "unit", "limit", "ratio", "must", "aim"}
HOPS = HopFigures(latencies_ms=(8, 10, 12, 40), per_s=500.0)


def story(number: int, begun_ms: int, step_ms: int, *, confirmed: bool = True) -> Story:
    """A trade whose every step took `step_ms`."""
    steps = ("reconciled", "intended", "planned", "signed", "submitted", "confirmed")
    taken = steps if confirmed else steps[:-1]
    mark = bytes([number]) * 32
    at_ms = {step: begun_ms + place * step_ms for place, step in enumerate(taken)}
    status = "confirmed" if confirmed else "submitted"
    return Story(mark, mark, 1, mark, mark, 1, 1, 1, status=status, at_ms=at_ms)


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 1), (50, 50), (51, 51), (99, 99), (100, 100)], ids=lambda value: str(value)
)
def test_a_percentile_is_a_value_that_was_measured(percent: int, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == expected


def test_percentiles_of_few_values() -> None:
    assert percentile([7], 50) == percentile([7], 99) == 7
    assert percentile([1, 2, 3, 4], 50) == 2
    assert percentile([1, 2, 3, 4], 99) == 4
    with pytest.raises(ValueError, match="0 values"):
        percentile([], 50)


def test_a_report_has_the_shape_that_every_bench_has() -> None:
    body = report("trade", [Figure("a", 30, "ms", Limit("bare", 10), 400, 150), Figure("b", 2, "s")], machine())
    assert json.loads(json.dumps(body)) == body
    assert body.keys() == {"bench", "machine", "figures"}
    assert {"cpus", "python", "platform"} <= body["machine"].keys()
    limited, free = body["figures"]
    assert limited.keys() == free.keys() == FIGURE_KEYS
    assert limited == {
        "name": "a",
        "value": 30,
        "unit": "ms",
        "limit": {"name": "bare", "value": 10},
        "ratio": 3.0,
        "must": 400,
        "aim": 150,
    }
    assert (free["limit"], free["ratio"], free["must"], free["aim"]) == (None, None, None, None)


def test_a_name_stands_for_one_figure_only() -> None:
    with pytest.raises(ValueError, match="one name"):
        report("trade", [Figure("a", 1, "ms"), Figure("a", 2, "ms")], {})


def test_a_limit_of_zero_has_no_ratio() -> None:
    assert Figure("a", 1, "ms", Limit("bare", 0)).ratio is None


def test_paced_trades_become_percentiles_beside_bare_hops() -> None:
    stories = [story(number, 1_000 * number, number) for number in range(1, 101)]
    stories.append(story(101, 0, 900, confirmed=False))
    figures = {figure.name: figure for figure in paced_figures(Paced("with_slot_waits", 101, stories, HOPS))}
    assert figures["with_slot_waits.asked"].value == 101
    assert figures["with_slot_waits.confirmed"].value == 100
    p50, p99 = (figures[f"with_slot_waits.delta_to_confirmed_p{percent}"] for percent in (50, 99))
    assert (p50.value, p99.value) == (250, 495)
    assert (p50.ratio, p99.ratio) == (25.0, 12.375)
    assert (p99.must, p99.aim) == (2_000, 1_000)
    assert figures["with_slot_waits.signed_p50"].value == 51  # the unconfirmed trade was signed, too
    assert figures["with_slot_waits.hops_p50"].value == 10
    assert figures["with_slot_waits.hops_p99"].value == 40


def test_a_measurement_without_trades_says_so_instead_of_failing() -> None:
    figures = {figure.name: figure for figure in paced_figures(Paced("without_slot_waits", 5, [], HOPS))}
    assert figures["without_slot_waits.confirmed"].value == 0
    assert "without_slot_waits.delta_to_confirmed_p50" not in figures
    assert [figure.value for figure in burst_figures(Burst(5, [], HOPS))] == [5, 0]


def test_a_burst_is_counted_from_its_first_delta_to_its_last_confirmation() -> None:
    stories = [story(number, 10_000 + 100 * number, 20) for number in range(1, 20)]
    figures = {figure.name: figure for figure in burst_figures(Burst(19, stories, HOPS))}
    assert figures["burst.trades_per_s"].value == 10.0  # 19 trades in 1900 ms
    assert figures["burst.trades_per_s"].ratio == 0.02
    assert (figures["burst.trades_per_s"].must, figures["burst.trades_per_s"].aim) == (30, 100)


def test_the_table_shows_every_figure() -> None:
    body = report("trade", paced_figures(Paced("with_slot_waits", 1, [story(1, 0, 5)], HOPS)), machine())
    assert report_table(body).row_count == len(body["figures"])


def test_placed_vaults_are_open_enabled_and_funded() -> None:
    scenario = load_scenario()
    vaults = place_vaults(scenario, PLAN, 3)
    assert len({bytes(placed.opened.vault) for placed in vaults}) == 3
    for placed in vaults:
        account = placed.accounts[0]
        parsed = parse_vault(account.data)
        assert parsed.enabled
        assert parsed.trade_seq == 0
        assert vault_address(LOCAL_VAULT_PROGRAM, parsed.owner) == account.address == placed.opened.vault
        trade_authority = Pubkey.create_program_address(
            [b"trade-authority", bytes(account.address), bytes([parsed.trade_authority_bump])], LOCAL_VAULT_PROGRAM
        )
        assert trade_authority == trade_authority_address(LOCAL_VAULT_PROGRAM, account.address)
    assert len(accounts_of(vaults)) == 3 * (1 + 2 * len(scenario.tokens))


@pytest.mark.slow
def test_trades_are_measured_in_both_worlds_and_no_world_is_left(tmp_path: Path) -> None:
    cache = Path(os.environ.get("XORJ_HOME", Path(__file__).parents[2] / ".xorj")) / "cache"
    (tmp_path / "cache").symlink_to(cache)
    xorj = str(Path(sys.executable).with_name("xorj"))
    command = [xorj, "bench", "trade", "--json", "--vaults", "12", "--seconds", "2"]
    ended = subprocess.run(
        command, env={**os.environ, "XORJ_HOME": str(tmp_path)}, capture_output=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()[-3_000:]
    body = json.loads(ended.stdout)
    figures = {figure["name"]: figure for figure in body["figures"]}
    for kind in ("with_slot_waits", "without_slot_waits"):
        assert figures[f"{kind}.confirmed"]["value"] == figures[f"{kind}.asked"]["value"] > 0
        assert figures[f"{kind}.delta_to_confirmed_p99"]["ratio"] > 0
    assert figures["burst.confirmed"]["value"] == 12
    assert not (tmp_path / "bench" / "world.json").exists()
