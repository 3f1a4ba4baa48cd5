"""Owns the download of the broker's jars.

1. A file in the cache has the listed SHA-256: it is checked before the file gets its name, and again when asked for.
2. The address to load from is a setting (XORJ_JAR_BASE_URL); its default comes from a library, so none is written here.
3. A failure names the file and the reason; what was loaded stays.
"""

import hashlib
import os
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

THREADS = 8
ATTEMPTS = 3
TIMEOUT_S = 60
CHUNK_BYTES = 1 << 16
FILE_BYTES_MAX = 64 << 20

Progress = Callable[[int, int], None]
"""Called with files done and files in all."""


class DownloadFailed(Exception):
    """One or more files could not be had; the message names each with its reason."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One file of the list: its SHA-256 (hexadecimal) and its path below the base address."""

    sha256: str
    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def read_jar_list(path: Path) -> tuple[Jar, ...]:
    """Parses lines of `sha256  path`. Raises ValueError on a line of another shape."""
    jars = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        digest, _, name = line.strip().partition("  ")
        if len(digest) != 64 or not name.endswith(".jar") or ".." in name:
            raise ValueError(f"{path}:{number}: expected `sha256  path.jar`")
        jars.append(Jar(digest, name.strip()))
    return tuple(jars)


def default_base_url() -> str:
    """XORJ_JAR_BASE_URL, or the central repository's address as the library for it knows it."""
    named = os.environ.get("XORJ_JAR_BASE_URL", "")
    if named:
        return named.rstrip("/")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from jgo.constants import MAVEN_CENTRAL_URL
    return str(MAVEN_CENTRAL_URL).rstrip("/")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing_jars(jars: Sequence[Jar], directory: Path) -> list[Jar]:
    """The listed jars that are absent from the directory or have other content."""
    return [jar for jar in jars if not (path := directory / jar.name).is_file() or sha256_of(path) != jar.sha256]


def _load_once(url: str, target: Path, sha256: str) -> None:
    aside = target.with_name(f"{target.name}.{os.getpid()}.part")
    digest, size = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, aside.open("wb") as file:  # noqa: S310
            while chunk := answer.read(CHUNK_BYTES):
                size += len(chunk)
                if size > FILE_BYTES_MAX:
                    raise DownloadFailed(f"longer than {FILE_BYTES_MAX} bytes")
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != sha256:
            raise DownloadFailed(f"SHA-256 is {digest.hexdigest()}, expected {sha256} ({size} bytes received)")
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def _load(jar: Jar, base_url: str, directory: Path) -> None:
    url = f"{base_url}/{jar.path}"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _load_once(url, directory / jar.name, jar.sha256)
        except urllib.error.HTTPError as error:
            reason = f"the server answered {error.code} {error.reason}"
            if error.code < 500 and error.code != 429:
                raise DownloadFailed(f"{jar.name} from {url}: {reason}") from error
        except DownloadFailed as error:
            reason = str(error)
        except OSError as error:
            reason = str(error)
        else:
            return
        if attempt < ATTEMPTS:
            time.sleep(0.2 * 2**attempt)
    raise DownloadFailed(f"{jar.name} from {url}: {reason} ({ATTEMPTS} attempts)")


def fetch_jars(jars: Sequence[Jar], directory: Path, base_url: str, progress: Progress) -> int:
    """Brings the directory to hold exactly the listed jars; returns how many were loaded. Raises DownloadFailed."""
    if not base_url.startswith(("https://", "http://")):
        raise DownloadFailed(f"XORJ_JAR_BASE_URL must begin with https:// or http://, not {base_url!r}")
    directory.mkdir(parents=True, exist_ok=True)
    listed = {jar.name for jar in jars}
    for other in directory.iterdir():
        if other.name not in listed:
            other.unlink()
    wanted = missing_jars(jars, directory)
    failures: list[str] = []
    with ThreadPoolExecutor(THREADS) as pool:
        loads: list[Future[None]] = [pool.submit(_load, jar, base_url, directory) for jar in wanted]
        progress(len(jars) - len(wanted), len(jars))
        for done, load in enumerate(as_completed(loads), start=len(jars) - len(wanted) + 1):
            error = load.exception()
            if isinstance(error, DownloadFailed):
                failures.append(str(error))
            elif error is not None:
                raise error
            progress(done, len(jars))
    if failures:
        many = f"{len(failures)} of {len(jars)} files could not be downloaded:\n  "
        raise DownloadFailed(many + "\n  ".join(sorted(failures)))
    return len(wanted)
