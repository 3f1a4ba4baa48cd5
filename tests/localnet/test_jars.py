"""A download is what its hash says, or a message says which file failed and why."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from xorj_localnet.jars import DownloadFailed, Jar, fetch_jars, read_jar_list
from xorj_localnet.paths import KAFKA_JAR_LIST

CONTENT = b"not really a jar, but its bytes are known"


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A file server on loopback: its address, and the directory it serves."""
    served = tmp_path / "served"
    served.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(served))  # type: ignore[arg-type]

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name is the base class's
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", served
        server.shutdown()


def _no_progress(done: int, total: int) -> None:
    return


def _jar(name: str, content: bytes = CONTENT) -> Jar:
    return Jar(hashlib.sha256(content).hexdigest(), f"org/example/{name}")


def _serve(served: Path, name: str, content: bytes = CONTENT) -> None:
    path = served / "org" / "example" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_listed_files_are_loaded_once_and_others_removed(repository: tuple[str, Path], tmp_path: Path) -> None:
    address, served = repository
    _serve(served, "one.jar")
    target = tmp_path / "jars"
    target.mkdir()
    (target / "of-an-older-list.jar").write_bytes(b"old")
    assert fetch_jars([_jar("one.jar")], target, address, _no_progress) == 1
    assert fetch_jars([_jar("one.jar")], target, address, _no_progress) == 0
    assert [path.name for path in target.iterdir()] == ["one.jar"]


def test_another_hash_is_refused_and_named(repository: tuple[str, Path], tmp_path: Path) -> None:
    address, served = repository
    _serve(served, "one.jar", b"tampered")
    with pytest.raises(DownloadFailed, match=r"one\.jar.*SHA-256 is [0-9a-f]{64}, expected [0-9a-f]{64}"):
        fetch_jars([_jar("one.jar")], tmp_path / "jars", address, _no_progress)
    assert list((tmp_path / "jars").iterdir()) == []


def test_a_missing_file_is_named_and_the_others_stay(repository: tuple[str, Path], tmp_path: Path) -> None:
    address, served = repository
    _serve(served, "here.jar")
    with pytest.raises(DownloadFailed, match=r"1 of 2 files(.|\n)*absent\.jar.*answered 404"):
        fetch_jars([_jar("here.jar"), _jar("absent.jar")], tmp_path / "jars", address, _no_progress)
    assert (tmp_path / "jars" / "here.jar").read_bytes() == CONTENT


def test_a_changed_file_in_the_cache_is_loaded_again(repository: tuple[str, Path], tmp_path: Path) -> None:
    address, served = repository
    _serve(served, "one.jar")
    target = tmp_path / "jars"
    fetch_jars([_jar("one.jar")], target, address, _no_progress)
    (target / "one.jar").write_bytes(b"changed on disk")
    assert fetch_jars([_jar("one.jar")], target, address, _no_progress) == 1
    assert (target / "one.jar").read_bytes() == CONTENT


def test_an_address_that_is_no_web_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="XORJ_JAR_BASE_URL"):
        fetch_jars([_jar("one.jar")], tmp_path, "file:///etc", _no_progress)


def test_the_broker_is_pinned_jar_by_jar() -> None:
    jars = read_jar_list(KAFKA_JAR_LIST)
    assert len({jar.name for jar in jars}) == len(jars)
    assert any(jar.name.startswith("kafka_2.13-") for jar in jars)
