"""What the pollers publish, over a real HTTP server and a log that is a list."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from dataclasses import replace as changed

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from xorj_core.facts import (
    RankingObserved,
    RankingRefused,
    RankingRefusedReason,
    ReferencePriceObserved,
    RiskProfile,
    SettingsChanged,
)
from xorj_core.owner_settings import Deployment, settings_statement
from xorj_ingestor.http_source import HttpSource
from xorj_ingestor.owner_settings import SettingsRow
from xorj_ingestor.polling import SourceFailed, wait_ms
from xorj_ingestor.price_poller import PricePoller
from xorj_ingestor.ranking_poller import RankingPoller
from xorj_ingestor.settings_poller import SettingsPoller
from xorj_localnet.standin.serve import listen
from xorj_log.writer import PublishUnknown
from xorj_solana.programs import LOCAL_VAULT_PROGRAM
from xorj_solana.vault import vault_address

from tests.ingestor.fakes import SOL, USDC, ListPublisher, body, trader


@dataclass(slots=True)
class Scripted:
    """A server that answers what a test says."""

    url: str = ""
    status: int = 200
    bodies: dict[str, bytes] = field(default_factory=dict)


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    script = Scripted()

    async def answer(request: Request) -> Response:
        if script.status == 302:
            return RedirectResponse("/elsewhere", 302)
        return Response(script.bodies.get(request.url.path, b""), status_code=script.status)

    listening = await listen(Starlette(routes=[Route("/{path:path}", answer)]), 0)
    script.url = listening.url
    yield script
    await listening.stop()


RANKED = "/internal/ranked-traders"


async def poll_all(poller: RankingPoller, times: int = 1) -> list[str]:
    outcomes = []
    for _ in range(times):
        try:
            await poller.poll()
            outcomes.append("ok")
        except SourceFailed:
            outcomes.append("failed")
    return outcomes


async def test_a_ranking_is_published_only_when_it_changed(server: Scripted) -> None:
    log = ListPublisher()
    async with HttpSource(server.url, {}) as http:
        poller = RankingPoller(http, log)
        server.bodies[RANKED] = body(trader(1))
        await poll_all(poller, 3)
        server.bodies[RANKED] = body(trader(1), meta={"at": 2})
        await poll_all(poller)
        assert len(log.facts) == 1
        server.bodies[RANKED] = body(trader(1, trust_score="95.51"))
        await poll_all(poller)
    assert [type(fact) for fact in log.facts] == [RankingObserved, RankingObserved]


async def test_a_refusal_is_published_once_per_reason_and_the_ranking_stays(server: Scripted) -> None:
    log = ListPublisher()
    async with HttpSource(server.url, {}) as http:
        poller = RankingPoller(http, log)
        server.bodies[RANKED] = body(trader(1))
        await poll_all(poller)
        for server.status, server.bodies[RANKED] in [
            (500, b"oops"),
            (500, b"other oops"),
            (503, b""),
            (302, b""),
            (200, b"<html>"),
            (200, b"{}"),
            (200, b" " * (1024 * 1024 + 1)),
        ]:
            assert await poll_all(poller, 2) == ["failed", "failed"]
        server.bodies[RANKED] = body(trader(1))
        assert await poll_all(poller) == ["ok"]
        server.bodies[RANKED] = b"{}"
        await poll_all(poller)
    refused = [(fact.reason, fact.http_status) for fact in log.facts if isinstance(fact, RankingRefused)]
    reasons = RankingRefusedReason
    assert refused == [
        (reasons.HTTP_STATUS, 500),
        (reasons.HTTP_STATUS, 503),
        (reasons.HTTP_STATUS, 302),
        (reasons.MALFORMED, 200),
        (reasons.TOO_LARGE, 0),
        (reasons.MALFORMED, 200),
    ]
    assert sum(isinstance(fact, RankingObserved) for fact in log.facts) == 1


async def test_an_engine_that_is_gone_is_a_refusal(server: Scripted) -> None:
    log = ListPublisher()
    async with HttpSource("http://127.0.0.1:9", {}) as http:
        assert await poll_all(RankingPoller(http, log), 2) == ["failed", "failed"]
    (fact,) = log.facts
    assert isinstance(fact, RankingRefused)
    assert fact.reason is RankingRefusedReason.UNREACHABLE


async def test_what_may_not_have_been_published_is_published_again(server: Scripted) -> None:
    log = ListPublisher()
    log.failures = 1
    server.bodies[RANKED] = body(trader(1))
    async with HttpSource(server.url, {}) as http:
        poller = RankingPoller(http, log)
        with pytest.raises(PublishUnknown):
            await poller.poll()
        await poller.poll()
    assert len(log.facts) == 1


@dataclass(slots=True)
class Wanted:
    """Mints that are wanted."""

    mints: frozenset[bytes]


async def test_a_price_whose_decimals_are_in_doubt_is_not_published(server: Scripted) -> None:
    log = ListPublisher()
    wanted = Wanted(frozenset(bytes(Pubkey.from_string(mint)) for mint in (SOL, USDC)))
    tokens = [{"id": SOL, "decimals": 9}, {"id": USDC, "decimals": 6}]
    server.bodies["/tokens/v2/search"] = json.dumps(tokens).encode()
    prices = {SOL: {"usdPrice": 147.48, "decimals": 6}, USDC: {"usdPrice": 0.9999, "decimals": 6}}
    server.bodies["/price/v3"] = json.dumps(prices).encode()
    async with HttpSource(server.url, {}) as http:
        await PricePoller(http, log, wanted).poll()
    (fact,) = log.facts
    assert isinstance(fact, ReferencePriceObserved)
    assert (fact.mint, fact.price_pico_usd) == (bytes(Pubkey.from_string(USDC)), 999_900_000_000)
    assert (fact.decimals, fact.source_class) == (6, "market")


@pytest.mark.parametrize("status", [302, 400, 429, 500])
async def test_prices_that_are_not_answered_are_a_failed_source(server: Scripted, status: int) -> None:
    server.status = status
    wanted = Wanted(frozenset({bytes(Pubkey.from_string(SOL))}))
    async with HttpSource(server.url, {}) as http:
        with pytest.raises(SourceFailed):
            await PricePoller(http, ListPublisher(), wanted).poll()


DEPLOYMENT = Deployment(genesis_hash=bytes([7]) * 32, vault_program=bytes(LOCAL_VAULT_PROGRAM))
ALICE, BOB = Keypair(), Keypair()


def row_of(owner: Keypair, **changes: object) -> SettingsRow:
    """A row that its owner has signed."""
    row = SettingsRow(
        vault=bytes(vault_address(LOCAL_VAULT_PROGRAM, owner.pubkey())),
        owner=bytes(owner.pubkey()),
        version=3,
        profile="moderate",
        enabled=True,
        slippage_bps_max=100,
        allowed_mints=(bytes([2]) * 32,),
        dead_band_bps=100,
        trade_value_micro_usd_min=1,
        trade_value_micro_usd_max=2,
        day_value_micro_usd_max=3,
        owner_signature=b"",
    )
    row = changed(row, **changes)  # type: ignore[arg-type]
    fields = {one.name: getattr(row, one.name) for one in dataclass_fields(row)}
    stated = SettingsChanged(**{**fields, "profile": RiskProfile[row.profile.upper()]})
    signature = owner.sign_message(settings_statement(stated, DEPLOYMENT.genesis_hash))
    return changed(row, owner_signature=bytes(signature))


@dataclass(slots=True)
class RowTable:
    """A settings table in memory."""

    held: dict[bytes, SettingsRow]

    async def versions(self) -> dict[bytes, int]:
        return {vault: row.version for vault, row in self.held.items()}

    async def rows(self, vaults: Sequence[bytes]) -> list[SettingsRow]:
        return [self.held[vault] for vault in vaults]


async def test_settings_are_published_when_their_version_grew_and_bad_rows_hide_none() -> None:
    log = ListPublisher()
    row, other = row_of(ALICE), row_of(BOB)
    table = RowTable({row.vault: row, other.vault: changed(other, allowed_mints=(b"short",))})
    poller = SettingsPoller(table, log, DEPLOYMENT)
    await poller.poll()
    await poller.poll()
    assert poller.mints == {bytes([2]) * 32}
    table.held[row.vault] = row_of(ALICE, version=2, enabled=False)
    await poller.poll()
    assert len(log.facts) == 1
    table.held[row.vault] = row_of(ALICE, version=4, enabled=False)
    table.held[other.vault] = row_of(BOB, version=4, profile="aggressive")
    await poller.poll()
    facts = [fact for fact in log.facts if isinstance(fact, SettingsChanged)]
    assert len(facts) == 3
    assert {(fact.vault, fact.version, fact.profile, fact.enabled) for fact in facts} == {
        (row.vault, 3, RiskProfile.MODERATE, True),
        (row.vault, 4, RiskProfile.MODERATE, False),
        (other.vault, 4, RiskProfile.AGGRESSIVE, True),
    }


@pytest.mark.parametrize(
    "row",
    [
        changed(row_of(ALICE), owner_signature=b""),
        changed(row_of(ALICE), slippage_bps_max=200),
        changed(row_of(ALICE), allowed_mints=(bytes([3]) * 32,)),
        changed(row_of(ALICE, vault=row_of(BOB).vault)),
    ],
    ids=["unsigned", "changed after signing", "a mint put in", "another owner's vault"],
)
async def test_settings_that_the_vaults_owner_has_not_signed_are_not_published(row: SettingsRow) -> None:
    log = ListPublisher()
    await SettingsPoller(RowTable({row.vault: row}), log, DEPLOYMENT).poll()
    assert log.facts == []


def test_a_failing_source_is_asked_less_often_but_never_not_at_all() -> None:
    assert [wait_ms(1000, failures) for failures in (0, 1, 2, 3, 4, 99)] == [1000, 2000, 4000, 8000, 10_000, 10_000]
    assert wait_ms(60_000, 5) == 60_000
