"""The live view: everything about a trade in a wide terminal, the essential in a narrow one, never wider than it."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from solders.pubkey import Pubkey
from xorj_cli.running import RunningWorld
from xorj_cli.stories import Refusal, Stories, Story
from xorj_cli.view import address_of_signature, trades_table
from xorj_log.connection import KafkaConnection

USDC, SOL, VAULT, OTHER = (bytes([number]) * 32 for number in (1, 2, 3, 4))
SIGNATURE = bytes(range(64))
NOWHERE = Path("/nowhere")
AT_MS = {"reconciled": 1_000, "intended": 1_249, "planned": 1_405, "signed": 1_566, "submitted": 1_623}


def _world() -> RunningWorld:
    mints = {str(Pubkey(USDC)): ("USDC", 6), str(Pubkey(SOL)): ("SOL", 9)}
    return RunningWorld(
        directory=NOWHERE,
        cluster_id="",
        kafka=KafkaConnection("", NOWHERE, NOWHERE, NOWHERE, "operator"),
        audit_dsn="",
        ledger_dsn="",
        keys_file=NOWHERE,
        operator_key_file=NOWHERE,
        services=(),
        signer_address="",
        genesis_hash=bytes(32),
        symbols={mint: symbol for mint, (symbol, _) in mints.items()},
        decimals={mint: decimals for mint, (_, decimals) in mints.items()},
        profiles={str(Pubkey(VAULT)): "conservative"},
    )


def _stories() -> Stories:
    stories = Stories()
    stories.trades[b"t"] = Story(
        trade_id=b"t",
        vault=VAULT,
        trade_seq=1,
        mint_in=USDC,
        mint_out=SOL,
        amount_in=899_974_494,
        amount_out_min=5_976_915_524,
        amount_out_expected=6_092_203_145,
        amount_out=6_092_114_701,
        signature=SIGNATURE,
        status="confirmed",
        at_ms={**AT_MS, "confirmed": 1_940},
    )
    stories.refusals = [Refusal(vault, "NO_ELIGIBLE_TRADER", "") for vault in (VAULT, OTHER, OTHER)]
    return stories


def _drawn(width: int) -> str:
    screen = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    screen.print(trades_table(_world(), _stories(), width))
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 128, 140, 200])
def test_a_trade_shows_its_step_amounts_and_signature(width: int) -> None:
    drawn = _drawn(width)
    assert max(map(len, drawn.splitlines())) <= width
    for said in ("confirmed", "899.974494 USDC", "6.092203145 SOL", "6.092114701 SOL", "940"):
        assert said in drawn
    assert address_of_signature(SIGNATURE)[:8] in drawn


@pytest.mark.parametrize("width", [100, 140])
def test_from_100_columns_on_every_step_has_its_milliseconds(width: int) -> None:
    drawn = _drawn(width)
    for said in ("intended 249", "planned 156", "signed 161", "submitted 57", "confirmed 317", "total 940"):
        assert said in drawn


def test_a_refusal_is_shown_once_and_only_while_its_vault_has_no_trade() -> None:
    drawn = _drawn(140)
    assert drawn.count("no eligible trader") == 1
    assert str(Pubkey(OTHER))[:6] in drawn
