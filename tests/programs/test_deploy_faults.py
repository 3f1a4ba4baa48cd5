"""A deployment that is killed, and an endpoint that fails, lies about sending, or talks rubbish.

Method: a proxy stands between the command and the cluster; it counts what is sent and can drop, hold or garble it.
Which transactions had landed when a fault began does not matter: what is counted is that none of them is sent again.
"""

import asyncio
import base64
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from solders.transaction import VersionedTransaction
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from xorj_localnet.standin.serve import listen
from xorj_solana import loader
from xorj_solana.landing import Lander, LandingFailed, Step
from xorj_solana.rpc import RpcClient, RpcUnreachable

from tests.programs.deploy_world import CPMM_SO, WAIT_S, XORJ, DeployWorld, Said, address, deploy_world, pair
from tests.rpc_proxy import RpcProxy

SIGNATURE_FEE = 5_000
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployWorld]:
    with deploy_world(tmp_path_factory.mktemp("faults")) as made:
        yield made


class Faulty(RpcProxy):
    """Counts calls by method; can hold or refuse what is sent after some, or take and drop it."""

    def __init__(self, target: str) -> None:
        super().__init__(lambda: target)
        self.calls: Counter[str] = Counter()
        self.forward_sends: int | None = None
        self.drop_sends = 0
        self.refuses = False
        self.results: dict[str, Callable[[Any], object]] = {}
        self.rubbish: bytes | None = None

    async def answer(self, request: Request) -> Response:
        if self.rubbish is not None:
            return Response(self.rubbish, media_type="application/json")
        body = json.loads(await request.body())
        method = body["method"]
        self.calls[method] += 1
        if method in self.results:
            result = self.results[method](body["params"])
            return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "result": result})
        if method == "sendTransaction":
            if self.drop_sends:
                self.drop_sends -= 1
                signed = VersionedTransaction.from_bytes(base64.b64decode(body["params"][0]))
                return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "result": str(signed.signatures[0])})
            if self.forward_sends is not None and self.calls[method] > self.forward_sends:
                if self.refuses:
                    error = {"code": -32602, "message": "refused"}
                    return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "error": error})
                self.hold(method)
        return await super().answer(request)


@contextmanager
def faulty(world: DeployWorld) -> Iterator[Faulty]:
    """A proxy that serves from a thread of its own, so that a test may wait in its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    proxy = Faulty(world.rpc_url)
    app = Starlette(routes=[Route("/{path:path}", proxy.answer, methods=["POST"])])
    listening = asyncio.run_coroutine_threadsafe(listen(app, 0), loop).result(WAIT_S)
    proxy.url = listening.url
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(listening.stop(), loop).result(WAIT_S)
        asyncio.run_coroutine_threadsafe(proxy.close(), loop).result(WAIT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_S)
        loop.close()


def until(condition: Callable[[], object]) -> None:
    """Wait for it, with a deadline."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A first deployment by a new, funded authority."""

    world: DeployWorld
    authority: Path
    key: Path

    @classmethod
    def new(cls, world: DeployWorld) -> "Deployment":
        return cls(world, world.key("authority", sol=10), world.key("program"))

    def arguments(self) -> tuple[object, ...]:
        return ("deploy", "--authority", self.authority, "--program-key", self.key, "--elf", CPMM_SO)

    def writes(self) -> int:
        """How many chunks the program has."""
        return int(self.world.run(*self.arguments(), "--dry-run").body["transactions"]["write"])

    def run(self, rpc_url: str | None = None) -> Said:
        """To its end."""
        return self.world.run(*self.arguments(), rpc_url=rpc_url)

    def start(self, rpc_url: str) -> subprocess.Popen[bytes]:
        """As a process of its own, which the test kills."""
        cluster = ("--rpc", rpc_url, "--cluster-genesis", self.world.genesis)
        command = [str(XORJ), "program", *map(str, self.arguments()), *cluster]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed(process: subprocess.Popen[bytes], when: Callable[[], object]) -> None:
    """kill -9 as soon as it is so."""
    try:
        until(lambda: when() or process.poll() is not None)
        assert process.returncode is None, "it ended by itself"
    finally:
        process.kill()
        process.wait(WAIT_S)


@pytest.mark.parametrize(
    "written", [pytest.param(0, marks=pytest.mark.slow), 20, pytest.param("all", marks=pytest.mark.slow)]
)
def test_a_deployment_killed_at_any_moment_goes_on_where_it_stopped(world: DeployWorld, written: int | str) -> None:
    deployment, before = Deployment.new(world), world.transactions()
    writes = deployment.writes()
    sends = 1 + (written if isinstance(written, int) else writes)
    with faulty(world) as proxy:
        proxy.forward_sends = sends
        killed(deployment.start(proxy.url), proxy.held.is_set)
    assert world.transactions() - before == sends
    again = deployment.run()
    assert again.exit_code == 0, again.body
    assert again.body["sent"].get("write", 0) == writes + 1 - sends
    assert world.transactions() - before == writes + 2
    check = ("--elf", CPMM_SO, "--expected-authority", address(deployment.authority))
    assert world.run("verify", "--program", address(deployment.key), *check).exit_code == 0


@pytest.mark.slow
def test_killed_when_the_last_transaction_had_landed_nothing_is_sent_again(world: DeployWorld) -> None:
    deployment, before = Deployment.new(world), world.transactions()
    everything = deployment.writes() + 2
    killed(deployment.start(world.rpc_url), lambda: world.transactions() - before == everything)
    again = deployment.run()
    assert (again.exit_code, again.body["action"], again.body["sent"]["signed"]) == (0, "already", 0)


def test_buffers_that_an_abandoned_deployment_left_give_their_rent_back(world: DeployWorld) -> None:
    deployment = Deployment.new(world)
    with faulty(world) as proxy:
        proxy.forward_sends, proxy.refuses = 5, True
        said = deployment.run(proxy.url)
    assert (said.exit_code, said.error) == (1, "transaction_failed")
    payer = address(deployment.authority)
    listed = world.run("buffers", "--authority", deployment.authority)
    assert [row["closed"] for row in listed.body["buffers"]] == [False]
    held = world.lamports(payer)
    rent = world.call("getMinimumBalanceForRentExemption", loader.BUFFER_META_LEN + len(CPMM_SO.read_bytes()))
    closed = world.run("buffers", "--authority", deployment.authority, "--close-all")
    assert (closed.exit_code, closed.body["returned_lamports"]) == (0, str(rent))
    assert world.lamports(payer) == held + rent - SIGNATURE_FEE
    assert world.run("buffers", "--authority", deployment.authority).body["buffers"] == []


def test_a_buffer_of_somebody_else_is_not_closed(world: DeployWorld) -> None:
    stranger = world.key("stranger", sol=1)
    said = world.run("buffers", "--authority", stranger, "--close", address(stranger))
    assert (said.exit_code, said.error) == (1, "not_a_buffer")


def test_transactions_that_an_endpoint_took_and_dropped_are_signed_anew_when_they_expired(world: DeployWorld) -> None:
    deployment, before = Deployment.new(world), world.transactions()
    with faulty(world) as proxy, ThreadPoolExecutor(1) as aside:
        proxy.drop_sends = 1_000

        def expire() -> None:
            until(lambda: proxy.calls["sendTransaction"])
            world.call("local_warpSlots", 200)
            proxy.drop_sends = 0

        waiting = aside.submit(expire)
        said = deployment.run(proxy.url)
        waiting.result(WAIT_S)
    assert said.exit_code == 0, said.body
    everything = sum(said.body["transactions"].values())
    assert said.body["sent"]["landed"] == world.transactions() - before == everything
    assert said.body["sent"]["signed"] > everything


@pytest.mark.slow
def test_an_endpoint_that_fails_now_and_then_only_costs_time(world: DeployWorld) -> None:
    deployment = Deployment.new(world)
    with faulty(world) as proxy, ThreadPoolExecutor(1) as aside:

        def fail() -> None:
            for method in ("getMinimumBalanceForRentExemption", "sendTransaction", "getSignatureStatuses"):
                until(partial(proxy.calls.__getitem__, method))
                proxy.fail_next(9)

        waiting = aside.submit(fail)
        said = deployment.run(proxy.url)
        waiting.result(WAIT_S)
        assert proxy.failures_left == 0
    assert said.exit_code == 0, said.body


def test_an_endpoint_that_reports_what_never_landed_does_not_end_a_deployment(world: DeployWorld) -> None:
    deployment, before = Deployment.new(world), world.transactions()
    with faulty(world) as proxy:
        landed = {"slot": 1, "confirmations": None, "err": None, "confirmationStatus": "finalized"}
        proxy.drop_sends = 1_000_000
        proxy.results["getSignatureStatuses"] = lambda params: {
            "context": {"slot": 1},
            "value": [landed for _ in params[0]],
        }
        said = deployment.run(proxy.url)
    assert (said.exit_code, said.error, world.transactions()) == (1, "transaction_failed", before)
    assert "does not show" in said.body["error"]["message"]


def test_an_endpoint_that_wants_an_absurd_rent_gets_nothing(world: DeployWorld) -> None:
    deployment, before = Deployment.new(world), world.transactions()
    with faulty(world) as proxy:
        proxy.results["getMinimumBalanceForRentExemption"] = lambda _params: 5 * 10**9
        said = deployment.run(proxy.url)
    assert (said.exit_code, said.error, world.transactions()) == (1, "absurd_rent", before)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"jsonrpc":"2.0","id":1,"result":{}}'])
def test_an_endpoint_that_talks_rubbish_is_told_apart(world: DeployWorld, content: bytes) -> None:
    with faulty(world) as proxy:
        proxy.rubbish = content
        said = world.run("verify", "--expected-authority", "none", rpc_url=proxy.url)
    assert (said.exit_code, said.error) == (3, "rpc_malformed")


def test_an_endpoint_that_is_not_there_is_told_without_its_path(world: DeployWorld) -> None:
    said = world.run("verify", "--expected-authority", "none", rpc_url=f"{NOBODY}/api-key-of-somebody")
    assert (said.exit_code, said.error) == (3, "rpc_unreachable")
    assert "api-key-of-somebody" not in json.dumps(said.body)


async def test_patience_with_a_silent_endpoint_ends(world: DeployWorld) -> None:
    async with RpcClient(NOBODY) as client:
        lander = Lander(client, pair(world.key("payer")), patience_s=0.2, poll_s=0.01)
        with pytest.raises(RpcUnreachable):
            await lander.land([Step("nothing", ())])


async def test_a_transaction_that_never_lands_is_given_up(world: DeployWorld) -> None:
    payer = pair(world.key("payer", sol=1))
    with faulty(world) as proxy:
        proxy.drop_sends = 1_000
        async with RpcClient(proxy.url) as client:
            landing = asyncio.create_task(Lander(client, payer, poll_s=0.01, copies_max=2).land([Step("nothing", ())]))
            async with asyncio.timeout(WAIT_S):
                while not landing.done():
                    await asyncio.to_thread(world.call, "local_warpSlots", 200)
            with pytest.raises(LandingFailed, match="expired 2 times"):
                await landing
