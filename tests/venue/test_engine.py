"""The stand-in engine serves the ranking it was given, only to who has the token."""

from collections.abc import AsyncIterator

import httpx
import pytest
from xorj_ingestor.ranking import parse_ranking
from xorj_localnet.engine.app import RANKING_PATH, Engine
from xorj_localnet.market.scenario import load_scenario
from xorj_localnet.standin.serve import listen


@pytest.fixture
async def engine() -> AsyncIterator[httpx.AsyncClient]:
    listening = await listen(Engine("a token", load_scenario().traders).app(), 0)
    headers = {"authorization": "Bearer a token"}
    async with httpx.AsyncClient(base_url=listening.url, headers=headers, trust_env=False) as client:
        yield client
    await listening.stop()


async def test_the_ranking_served_is_one_that_the_ingestor_understands(engine: httpx.AsyncClient) -> None:
    ranking = parse_ranking((await engine.get(RANKING_PATH)).content)
    assert len(ranking.traders) + len(ranking.skipped) == len(load_scenario().traders)
    assert '"trust_score":87.40' in (await engine.get(RANKING_PATH)).text


async def test_every_path_needs_the_token(engine: httpx.AsyncClient) -> None:
    for method, path in (("GET", RANKING_PATH), ("POST", "/local/ranking"), ("POST", "/local/fault")):
        for header in ("", "Bearer", "Bearer another", "Basic a token"):
            response = await engine.request(method, path, headers={"authorization": header})
            assert response.status_code == 401


async def test_a_ranking_that_is_posted_is_served_as_it_is(engine: httpx.AsyncClient) -> None:
    for wrong in (b"", b"[]", b'{"data": 7}', b'{"data": NaN}'):
        assert (await engine.post("/local/ranking", content=wrong)).status_code == 400
    await engine.post("/local/ranking", content=b'{"data": [{"rank": 1, "trust_score": 95.4999999999999999}]}')
    assert '"trust_score":95.4999999999999999' in (await engine.get(RANKING_PATH)).text


async def test_planned_faults_replace_the_ranking_until_cleared(engine: httpx.AsyncClient) -> None:
    await engine.post("/local/fault", json={"path": RANKING_PATH, "kind": "status", "status": 500})
    assert [(await engine.get(RANKING_PATH)).status_code for _ in range(2)] == [500, 500]
    await engine.post("/local/fault", json={"path": RANKING_PATH, "kind": None})
    assert (await engine.get(RANKING_PATH)).status_code == 200
