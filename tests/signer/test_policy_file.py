"""The policy file: every bound is there, none is unknown, and each mistake is named by its key."""

import re

import pytest
from xorj_core.policy.file import PolicyInvalid, parse_policy
from xorj_core.policy.limits import policy_sha256
from xorj_localnet.policy import LOCAL_POLICY

MINT = "So11111111111111111111111111111111111111112"
OF_ONE_MINT = f"""
[caps.mints.{MINT}]
minute = {{ trades_max = 1, value_micro_usd_max = 2 }}
day = {{ trades_max = 3, value_micro_usd_max = 4 }}
"""


def test_the_local_worlds_policy_is_one() -> None:
    limits = parse_policy(LOCAL_POLICY)
    assert limits.expiry_slots_max == 300
    assert limits.named_mints == ()


@pytest.mark.parametrize("line", [line for line in LOCAL_POLICY.splitlines() if " = " in line and line[0] != "#"])
def test_a_bound_that_is_forgotten_is_named(line: str) -> None:
    name = line.split(" = ")[0]
    with pytest.raises(PolicyInvalid, match=name):
        parse_policy(LOCAL_POLICY.replace(line, "", 1))


@pytest.mark.parametrize("line", [line for line in LOCAL_POLICY.splitlines() if " = " in line and line[0] != "#"])
def test_a_bound_that_is_misspelt_is_named(line: str) -> None:
    name = line.split(" = ")[0]
    with pytest.raises(PolicyInvalid, match=f"{name}s?.*"):
        parse_policy(LOCAL_POLICY.replace(line, line.replace(name, f"{name}s", 1), 1))


@pytest.mark.parametrize("head", re.findall(r"^\[(.+)\]$", LOCAL_POLICY, re.M))
def test_a_key_that_nobody_knows_refuses_the_file(head: str) -> None:
    with pytest.raises(PolicyInvalid, match=rf"{re.escape(head)}\.more"):
        parse_policy(LOCAL_POLICY.replace(f"[{head}]", f"[{head}]\nmore = 1", 1))


@pytest.mark.parametrize(
    ("was", "becomes", "named"),
    [
        ("version = 1", "version = 2", "version"),
        ("price_age_ms_max = 120_000", "price_age_ms_max = -1", "trade.price_age_ms_max"),
        ("price_age_ms_max = 120_000", "price_age_ms_max = 1.5", "trade.price_age_ms_max"),
        ("price_age_ms_max = 120_000", "price_age_ms_max = true", "trade.price_age_ms_max"),
        ("price_age_ms_max = 120_000", "price_age_ms_max = '5'", "trade.price_age_ms_max"),
        ("price_age_ms_max = 120_000", "price_age_ms_max = 9_223_372_036_854_775_807", "trade.price_age_ms_max"),
        ("attempts_max = 4", "attempts_max = 5", "trade.attempts_max"),
        ("expiry_slots_max = 300", "expiry_slots_max = 301", "trade.expiry_slots_max"),
        ('swap = ["', 'swap = ["x', "programs.swap"),
        ("swap = [", "swap = [] #", "programs.swap"),
        ('vault = "', 'vault = 5 # "', "programs.vault"),
        ("[caps.mints]", "[caps.mints.nonsense]", "caps.mints.nonsense"),
        ("version = 1", "version = 1\nversion = 1", "not TOML"),
    ],
)
def test_a_value_that_cannot_be_is_named(was: str, becomes: str, named: str) -> None:
    assert was in LOCAL_POLICY
    with pytest.raises(PolicyInvalid, match=re.escape(named)):
        parse_policy(LOCAL_POLICY.replace(was, becomes, 1))


def test_a_mint_may_have_caps_of_its_own() -> None:
    limits = parse_policy(LOCAL_POLICY + OF_ONE_MINT)
    assert [(item.caps.minute.trades_max, item.caps.day.value_micro_usd_max) for item in limits.named_mints] == [(1, 4)]


def test_comments_and_order_do_not_change_the_policys_hash_but_bounds_do() -> None:
    plain = policy_sha256(parse_policy(LOCAL_POLICY))
    assert policy_sha256(parse_policy(LOCAL_POLICY + "\n# a word\n")) == plain
    assert policy_sha256(parse_policy(LOCAL_POLICY + OF_ONE_MINT)) != plain
    for number in set(re.findall(r"(?<== )[0-9_]+", LOCAL_POLICY)) - {"1"}:
        fewer = LOCAL_POLICY.replace(f" {number}", f" {int(number) - 1}", 1)
        assert policy_sha256(parse_policy(fewer)) != plain, number
