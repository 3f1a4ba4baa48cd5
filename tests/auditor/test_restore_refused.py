"""`xorj audit restore` asks the witness first: a backup that is behind or beside what it has seen is not restored."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from xorj_cli.audit_files import restore_log
from xorj_cli.audit_place import PlaceOptions
from xorj_cli.output import Exit, Failure
from xorj_core.checkpoint import KeyType, NoteKey

from tests.auditor.test_histories import HISTORIES, read

NAME = "three-trades.jsonl.gz"


class Answer:
    """What the witness says next: status and body."""

    status = 409
    body = b""


@pytest.fixture
def witness() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(Answer.status)
            self.send_header("Content-Length", str(len(Answer.body)))
            self.end_headers()
            self.wfile.write(Answer.body)

        def log_message(self, *arguments: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def options(tmp_path: Path, url: str) -> PlaceOptions:
    header, _ = read(NAME)
    keys = [
        {
            "key_id": key.key_id.hex(),
            "public_key": base64.b64encode(key.public_key).decode(),
            "principal": key.principal,
            "roles": sorted(key.roles),
        }
        for key in header.registry
    ]
    (tmp_path / "keys.json").write_text(json.dumps({"keys": keys}))
    key = NoteKey("test/witness", KeyType.COSIGNATURE_V1, bytes(32))
    (tmp_path / "witnesses.json").write_text(json.dumps({"witnesses": [{"url": url, "key": str(key)}]}))
    (tmp_path / "nowhere.dsn").write_text("postgresql://nobody@127.0.0.1:1/none")
    return PlaceOptions(tmp_path / "nowhere.dsn", tmp_path / "keys.json", header.origin, tmp_path / "witnesses.json")


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [(409, b"999999\n", "999999"), (409, b"288\n", "another root"), (422, b"", "does not lead here")],
)
async def test_behind_or_beside_the_witness_nothing_is_restored(
    status: int, body: bytes, says: str, witness: str, tmp_path: Path
) -> None:
    Answer.status, Answer.body = status, body
    place = options(tmp_path, witness)
    result, exit_code = await restore_log(place, HISTORIES / NAME, tmp_path / "nowhere.dsn")
    assert exit_code is Exit.CHECK_FAILED
    assert result["restored"] is False
    assert says in result["reason"]
    assert "new origin" in result["hint"]


async def test_a_witness_that_does_not_answer_leaves_it_open(tmp_path: Path) -> None:
    with pytest.raises(Failure) as failure:
        await restore_log(options(tmp_path, "http://127.0.0.1:1"), HISTORIES / NAME, tmp_path / "nowhere.dsn")
    assert failure.value.exit_code is Exit.CANNOT_TELL


async def test_a_forged_backup_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    place = options(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(Failure, match="rewritten") as failure:
        await restore_log(place, HISTORIES / "forged-minimum.jsonl.gz", tmp_path / "nowhere.dsn")
    assert failure.value.exit_code is Exit.CHECK_FAILED
