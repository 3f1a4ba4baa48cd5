"""A witness over HTTP, as C2SP tlog-witness has it answer, and what the auditor makes of witnesses that do not."""

import asyncio
import base64
import json
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from xorj_auditor.witnesses import (
    Behind,
    Beside,
    Cosigned,
    Unreachable,
    Witness,
    WitnessDesk,
    WitnessesUnusable,
    add_checkpoint_body,
    load_witnesses,
    show,
)
from xorj_core.checkpoint import SignedCheckpoint, cosigned_at_s, parse_signatures
from xorj_halt.keys import verifies
from xorj_witness.judging import PROOF_LINES_MAX, REQUEST_BYTES_MAX

from tests.auditor.witnessed import SmallLog, new_key, small_log, talking_to, witness_app

URL = "http://witness"


async def ask(client: httpx.AsyncClient, log: SmallLog, old: int, new: int) -> httpx.Response:
    proof = await log.proof(old, new)
    return await post(client, add_checkpoint_body(old, proof, log.checkpoint(new)))


async def post(client: httpx.AsyncClient, body: bytes) -> httpx.Response:
    return await client.post(f"{URL}/add-checkpoint", content=body)


async def test_it_cosigns_what_continues_what_it_has_seen(tmp_path: Path) -> None:
    log = small_log(10)
    app, key = witness_app(tmp_path / "seen", log, new_key(), now_s=lambda: 1_700_000_000.9)
    async with talking_to(app) as client:
        for old, new in ((0, 3), (3, 3), (3, 10)):
            answer = await ask(client, log, old, new)
            assert answer.status_code == 200
            lines = parse_signatures(answer.text)
            signed = SignedCheckpoint(log.checkpoint(new).checkpoint, lines)
            assert cosigned_at_s(signed.signed_by(key, verifies)) == 1_700_000_000
        shown = await client.get(f"{URL}/checkpoint/{log.key.note_key.name}")
        assert shown.content == log.checkpoint(10).note()


async def test_what_it_has_seen_outlives_it(tmp_path: Path) -> None:
    log, key = small_log(5), new_key()
    async with talking_to(witness_app(tmp_path / "seen", log, key)[0]) as client:
        assert (await ask(client, log, 0, 5)).status_code == 200
    async with talking_to(witness_app(tmp_path / "seen", log, key)[0]) as client:
        answer = await ask(client, log, 0, 5)
        assert (answer.status_code, answer.content) == (409, b"5\n")
        assert answer.headers["content-type"].startswith("text/x.tlog.size")


async def test_another_old_size_conflicts_and_names_the_one_it_has_seen(tmp_path: Path) -> None:
    log = small_log(9)
    async with talking_to(witness_app(tmp_path / "seen", log, new_key())[0]) as client:
        assert (await ask(client, log, 0, 4)).status_code == 200
        for old in (0, 2, 5):
            answer = await ask(client, log, old, 9)
            assert (answer.status_code, answer.content) == (409, b"4\n")
        assert (await ask(client, log, 2, 3)).status_code == 409  # a smaller tree is none of its business


async def test_another_root_of_the_same_size_conflicts(tmp_path: Path) -> None:
    log = small_log(4)
    fork = small_log(4, log.key.key, history="b")
    async with talking_to(witness_app(tmp_path / "seen", log, new_key())[0]) as client:
        assert (await ask(client, log, 0, 4)).status_code == 200
        assert (await ask(client, fork, 4, 4)).status_code == 409


async def test_a_proof_that_does_not_lead_there_is_not_consistent(tmp_path: Path) -> None:
    log = small_log(20)
    fork = small_log(20, log.key.key, history="b")
    async with talking_to(witness_app(tmp_path / "seen", log, new_key())[0]) as client:
        assert (await ask(client, log, 0, 7)).status_code == 200
        proof = await log.proof(7, 20)
        wrong: list[Sequence[bytes]] = [(), proof[:-1], (*proof, proof[0]), tuple(reversed(proof)), (bytes(32),) * 5]
        for changed in wrong:
            answer = await post(client, add_checkpoint_body(7, changed, log.checkpoint(20)))
            assert answer.status_code == 422
        assert (await ask(client, fork, 7, 20)).status_code == 422
        assert (await ask(client, log, 7, 20)).status_code == 200


async def test_a_proof_from_zero_is_empty(tmp_path: Path) -> None:
    log = small_log(4)
    async with talking_to(witness_app(tmp_path / "seen", log, new_key())[0]) as client:
        answer = await post(client, add_checkpoint_body(0, (bytes(32),), log.checkpoint(4)))
        assert answer.status_code == 422


async def test_an_unknown_log_and_a_foreign_signature_are_told_apart(tmp_path: Path) -> None:
    log = small_log(4)
    async with talking_to(witness_app(tmp_path / "seen", log, new_key())[0]) as client:
        stranger = small_log(4)  # the same origin, another key
        assert (await ask(client, stranger, 0, 4)).status_code == 403
        renamed = log.checkpoint(4).note().replace(log.key.note_key.name.encode(), b"other.example")
        assert (await post(client, b"old 0\n\n" + renamed)).status_code == 404


def malformed(log: SmallLog) -> list[bytes]:
    good = add_checkpoint_body(0, (), log.checkpoint(4))
    line = base64.b64encode(bytes(32)) + b"\n"
    note = log.checkpoint(4).note()
    return [
        b"",
        b"old 0",
        good[:-1],
        good.replace(b"old 0", b"old 00"),
        good.replace(b"old 0", b"old -1"),
        good.replace(b"old 0", b"old 1e3"),
        good.replace(b"old 0", b"new 0"),
        good.replace(b"old 0", b"old 5"),  # larger than the checkpoint
        b"old 0\nnot base64\n\n" + note,
        b"old 0\n" + base64.b64encode(bytes(31)) + b"\n\n" + note,
        b"old 0\n" + line.replace(b"A=", b"B=") + b"\n" + note,
        b"old 0\n" + line * (PROOF_LINES_MAX + 1) + b"\n" + note,
        b"old 0\n\xff\n\n" + note,
        b"old 0\n\n" + note.replace(b"\n4\n", b"\n04\n"),
        good + b"x" * REQUEST_BYTES_MAX,
    ]


@pytest.mark.parametrize("number", range(15))
async def test_malformed_requests_are_refused_and_nothing_is_stored(tmp_path: Path, number: int) -> None:
    log = small_log(4)
    async with talking_to(witness_app(tmp_path / "seen", log, new_key())[0]) as client:
        assert (await post(client, malformed(log)[number])).status_code == 400
        assert (await client.get(f"{URL}/checkpoint/{log.key.note_key.name}")).status_code == 404
        assert (await ask(client, log, 0, 4)).status_code == 200


async def test_of_two_submissions_at_once_one_wins_even_through_two_processes(tmp_path: Path) -> None:
    log, key = small_log(40), new_key()
    apps = [witness_app(tmp_path / "seen", log, key)[0] for _ in range(2)]
    async with talking_to(apps[0]) as one, talking_to(apps[1]) as other:
        assert (await ask(one, log, 0, 5)).status_code == 200
        clients = (one, other) * 10
        answers = await asyncio.gather(*(ask(client, log, 5, 6 + at) for at, client in enumerate(clients)))
        won = [at for at, answer in enumerate(answers) if answer.status_code == 200]
        assert len(won) == 1
        assert {answer.status_code for answer in answers} == {200, 409}
        assert (await ask(one, log, 0, 40)).content == f"{6 + won[0]}\n".encode()


# What the auditor makes of a witness.


async def desk_of(app: Starlette, key: object, log: SmallLog, client: httpx.AsyncClient) -> WitnessDesk:
    return WitnessDesk(Witness(URL, key), client, log.proof)  # type: ignore[arg-type]


async def test_the_auditor_finds_out_what_a_witness_has_seen(tmp_path: Path) -> None:
    log = small_log(30)
    app, key = witness_app(tmp_path / "seen", log, new_key())
    async with talking_to(app) as client:
        assert (await ask(client, log, 0, 11)).status_code == 200
        desk = await desk_of(app, key, log, client)
        assert isinstance(await desk.show(log.checkpoint()), Cosigned)
        assert desk.problem() is None


async def test_a_log_that_is_behind_or_beside_is_contradicted_until_it_agrees(tmp_path: Path) -> None:
    log = small_log(30)
    app, key = witness_app(tmp_path / "seen", log, new_key())
    fork = small_log(40, log.key.key, history="b")
    async with talking_to(app) as client:
        assert (await ask(client, log, 0, 30)).status_code == 200
        desk = await desk_of(app, key, log, client)
        assert await desk.show(log.checkpoint(20)) == Behind(30)
        assert "30" in (desk.problem() or "")
        assert isinstance(await (await desk_of(app, key, fork, client)).show(fork.checkpoint()), Beside)
        assert isinstance(await (await desk_of(app, key, fork, client)).show(fork.checkpoint(30)), Beside)
        log.append(3)
        assert isinstance(await desk.show(log.checkpoint()), Cosigned)
        assert desk.problem() is None


LIES = {
    "a size that is none": Response(b"nonsense", 409),
    "a size without end": Response(b"9" * 100, 409),
    "no cosignature": PlainTextResponse("", 200),
    "a cosignature by nobody": PlainTextResponse("— witness.example AAAAAAAAAAAA\n", 200),
    "an error": PlainTextResponse("no", 500),
    "a redirect": Response(b"", 301, {"location": "http://elsewhere/"}),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_witness_that_lies_is_believed_nothing(tmp_path: Path, lie: str) -> None:
    log = small_log(5)
    _, key = witness_app(tmp_path / "seen", log, new_key())

    async def answer(_: Request) -> Response:
        return LIES[lie]

    async with talking_to(Starlette(routes=[Route("/add-checkpoint", answer, methods=["POST"])])) as client:
        said, _ = await show(client, Witness(URL, key), log.checkpoint(), 0, log.proof)
    assert isinstance(said, Unreachable)


async def test_another_witnesss_cosignature_or_one_of_another_checkpoint_is_none(tmp_path: Path) -> None:
    log = small_log(6)
    app, _ = witness_app(tmp_path / "one", log, new_key())
    _, wanted = witness_app(tmp_path / "other", log, new_key())
    async with talking_to(app) as client:
        said, _ = await show(client, Witness(URL, wanted), log.checkpoint(), 0, log.proof)
        assert isinstance(said, Unreachable)
        replayed = (await ask(client, log, 6, 6)).text
    _, key = witness_app(tmp_path / "one", log, new_key())

    async def answer(_: Request) -> Response:
        return PlainTextResponse(replayed)

    log.append(1)
    async with talking_to(Starlette(routes=[Route("/add-checkpoint", answer, methods=["POST"])])) as client:
        said, _ = await show(client, Witness(URL, key), log.checkpoint(), 0, log.proof)
    assert isinstance(said, Unreachable)


async def test_a_witness_that_was_rolled_back_is_an_alarm_although_it_cosigns(tmp_path: Path) -> None:
    log, key = small_log(8), new_key()
    app, note_key = witness_app(tmp_path / "seen", log, key)
    older, _ = witness_app(tmp_path / "older", log, key)
    async with talking_to(app) as client:
        desk = await desk_of(app, note_key, log, client)
        assert isinstance(await desk.show(log.checkpoint()), Cosigned)
    log.append(2)
    async with talking_to(older) as client:
        assert (await ask(client, log, 0, 3)).status_code == 200
        desk._client = client
        assert isinstance(await desk.show(log.checkpoint()), Cosigned)
    assert "rolled back" in (desk.problem() or "")


async def test_a_witness_that_does_not_answer_is_late(tmp_path: Path) -> None:
    log = small_log(3)
    _, key = witness_app(tmp_path / "seen", log, new_key())
    async with httpx.AsyncClient() as client:
        desk = WitnessDesk(Witness("http://127.0.0.1:1", key), client, log.proof)
        assert isinstance(await desk.show(log.checkpoint()), Unreachable)
        assert desk.lag_s() > 0


def test_the_file_of_witnesses_names_what_is_wrong(tmp_path: Path) -> None:
    log = small_log(1)
    _, key = witness_app(tmp_path / "seen", log, new_key())
    file = tmp_path / "witnesses.json"
    file.write_text(json.dumps({"witnesses": [{"url": "http://w/", "key": str(key)}]}))
    assert load_witnesses(file) == (Witness("http://w", key),)
    assert load_witnesses(None) == ()
    wrong = ("{}", "[]", "x", json.dumps({"witnesses": [{"url": "http://w", "key": str(log.key.note_key)}]}))
    for text in wrong:
        file.write_text(text)
        with pytest.raises(WitnessesUnusable):
            load_witnesses(file)
