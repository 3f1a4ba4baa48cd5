"""What of the engine's bodies becomes a ranking, and what is refused whole."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey
from xorj_core.facts import SkippedTrader, TargetWeight
from xorj_ingestor.ranking import NO_ALLOCATION, parse_ranking, read_score_hundredths
from xorj_ingestor.strict_json import Malformed

from tests.ingestor.fakes import SOL, USDC, WALLETS, body, trader


def test_a_ranking_is_read_in_the_order_of_its_ranks() -> None:
    ranking = parse_ranking(body(trader(2, trust_score=90), trader(1)))
    assert [one.rank for one in ranking.traders] == [1, 2]
    assert [one.trust_score_hundredths for one in ranking.traders] == [9550, 9000]
    assert ranking.traders[0].wallet == bytes(Pubkey.from_string(WALLETS[0]))
    assert ranking.traders[0].allocation == (
        TargetWeight(bytes(Pubkey.from_string(SOL)), 6000),
        TargetWeight(bytes(Pubkey.from_string(USDC)), 4000),
    )


@pytest.mark.parametrize("allocation", [..., None, []])
def test_a_trader_without_allocation_is_skipped_with_a_reason(allocation: Any) -> None:
    ranking = parse_ranking(body(trader(1, allocation=allocation), trader(2)))
    assert [one.rank for one in ranking.traders] == [2]
    assert ranking.skipped == (SkippedTrader(WALLETS[0], NO_ALLOCATION),)


def test_a_ranking_of_nobody_is_a_ranking() -> None:
    assert parse_ranking(body()).traders == ()


@pytest.mark.parametrize(
    ("text", "hundredths"),
    [("95", 9500), (95.5, 9550), ("94.999", 9499), (94.999999, 9499), (0, 0), (100, 10_000), ("1e1", 1000)],
)
def test_a_trust_score_is_never_rounded_up(text: Any, hundredths: int) -> None:
    ranking = parse_ranking(body(trader(1, trust_score=text)))
    assert ranking.traders[0].trust_score_hundredths == hundredths


@pytest.mark.parametrize("score", [None, True, [], "", "x", "NaN", "Infinity", -1, "100.001", 101, "1e400", {}])
def test_a_trust_score_that_is_none_is_refused(score: Any) -> None:
    with pytest.raises(Malformed):
        parse_ranking(body(trader(1, trust_score=score)))


def weights(*pairs: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{"mint": mint, "weight_bps": weight} for mint, weight in pairs]


@pytest.mark.parametrize(
    "changes",
    [
        {"rank": 0},
        {"rank": -1},
        {"rank": "1"},
        {"rank": 1.0},
        {"rank": True},
        {"rank": ...},
        {"wallet_address": ...},
        {"wallet_address": ""},
        {"wallet_address": WALLETS[0][:-4]},
        {"wallet_address": WALLETS[0] + "1"},
        {"wallet_address": "0" * 44},
        {"wallet_address": 7},
        {"trust_score": ...},
        {"allocation": {}},
        {"allocation": "SOL"},
        {"allocation": [7]},
        {"allocation": weights((SOL, 9999))},
        {"allocation": weights((SOL, 10_001))},
        {"allocation": weights((SOL, 5000), (SOL, 5000))},
        {"allocation": weights((SOL, 10_000), (USDC, 0))},
        {"allocation": weights((SOL, 12_000), (USDC, -2000))},
        {"allocation": weights((SOL, 10_000.0))},
        {"allocation": weights((SOL, "10000"))},
        {"allocation": weights(("SOL", 10_000))},
        {"allocation": weights((None, 10_000))},
        {"allocation": weights(*[(SOL, 1)] * 65)},
    ],
)
def test_a_trader_that_contradicts_itself_refuses_the_whole_body(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_ranking(body(trader(1, **changes), trader(2)))


def test_the_same_rank_or_wallet_twice_is_refused() -> None:
    with pytest.raises(Malformed, match="same rank"):
        parse_ranking(body(trader(1), trader(2, rank=1)))
    with pytest.raises(Malformed, match="ranked twice"):
        parse_ranking(body(trader(1), trader(2, wallet_address=WALLETS[0], allocation=None)))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"success"',
        b"{",
        b"\xff\xfe",
        b'{"status": "success"}',
        b'{"status": "success", "data": {}}',
        b'{"status": "error", "data": []}',
        b'{"status": "success", "data": [null]}',
        b'{"status": "success", "data": [], "data": []}',
        b'{"status": "success", "data": NaN}',
        b'{"status": "success", "data": [], "n": 1e999999999999999999999}',
        b'{"status": "success", "data": [], "n": ' + b"9" * 5000 + b"}",
        b'{"status": "success", "data": ' + b"[" * 100_000,
        body(*[trader(1)] * 1001),
    ],
)
def test_a_body_that_is_no_ranking_is_refused(text: bytes) -> None:
    with pytest.raises(Malformed):
        parse_ranking(text)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise(text: bytes) -> None:
    try:
        parse_ranking(text)
    except Malformed:
        return


@given(st.decimals(min_value=0, max_value=100, allow_nan=False))
def test_a_score_in_hundredths_is_never_above_the_score(score: Any) -> None:
    hundredths = read_score_hundredths(score, "score")
    assert hundredths <= score * 100 < hundredths + 1
