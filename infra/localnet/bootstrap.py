"""Owns set-up from nothing but Python: `.venv` from hash-pinned requirements, the packages, then the caches.

Run by `make setup` with any Python ≥ 3.11; uses the standard library only.

1. What is installed is pinned by hash; the workspace's own packages are installed in place and resolve nothing.
2. When nothing changed it does nothing: a stamp in `.venv` holds the hash of everything that set-up depends on.
3. Two set-ups of one checkout wait for each other. Downloads are kept in the project's own `.xorj/cache`.
4. What it starts ends with it, also when it is killed (Linux: parent-death signal), and the next set-up begins anew.
"""

import ctypes
import fcntl
import hashlib
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = REPOSITORY / ".venv"
STAMP = ENVIRONMENT / "xorj-setup.stamp"
HOME = Path(os.environ.get("XORJ_HOME", "") or REPOSITORY / ".xorj").resolve()
REQUIREMENTS = REPOSITORY / "requirements"
OLDEST_PYTHON = (3, 11)


class SetupFailed(Exception):
    """Set-up cannot go on; the message says what to do."""


def packages() -> list[Path]:
    """The workspace's packages: every directory with a pyproject.toml and sources."""
    patterns = ("libs/*", "services/*", "cli", "console", "infra/localnet")
    found = [path for pattern in patterns for path in sorted(REPOSITORY.glob(pattern))]
    return [path for path in found if (path / "pyproject.toml").is_file()]


def _dependencies() -> Iterator[Path]:
    yield Path(__file__)
    yield from sorted(REQUIREMENTS.glob("*.txt"))
    yield REPOSITORY / "infra" / "kafka" / "jars.sha256"
    for package in packages():
        yield package / "pyproject.toml"


def stamp() -> str:
    """The hash of all that set-up depends on, including this Python and the place of the checkout."""
    digest = hashlib.sha256(f"{sys.version}\0{REPOSITORY}\0{HOME}".encode())
    for path in _dependencies():
        digest.update(f"\0{path.relative_to(REPOSITORY)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_current() -> bool:
    """Whether a set-up of exactly this state has ended well and what it made is still there."""
    try:
        current = STAMP.read_text() == stamp()
    except FileNotFoundError:
        return False
    return current and (ENVIRONMENT / "bin" / "xorj").exists() and any((HOME / "cache" / "kafka").glob("*.jar"))


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if platform.system() == "Linux" else None
"""Loaded here: nothing may be loaded between fork and exec."""


def _end_with_parent() -> None:
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _run(what: str, *command: str, environment: Mapping[str, str] | None = None) -> None:
    began = time.monotonic()
    _say(f"  {what} …")
    settings = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **(environment or {})}
    # Its own process group: Ctrl-C reaches this process alone, which ends the whole group. There are no threads here.
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=settings,
        preexec_fn=_end_with_parent,  # noqa: PLW1509
        process_group=0,
    )
    try:
        code = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if code != 0:
        raise SetupFailed(f"{what} failed (exit status {code}); its output above says why")
    _say(f"  {what}: {time.monotonic() - began:.1f} s")


def _python_of_environment() -> tuple[int, ...] | None:
    python = ENVIRONMENT / "bin" / "python"
    code = "import sys; print(*sys.version_info[:3])"
    try:
        answer = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return None
    return tuple(int(part) for part in answer.stdout.split()) if answer.returncode == 0 else None


def _make_environment() -> None:
    if _python_of_environment() == tuple(sys.version_info[:3]) and (ENVIRONMENT / "bin" / "pip").exists():
        return
    try:
        import ensurepip  # noqa: F401 - a bare Debian splits it off
    except ModuleNotFoundError as error:
        raise SetupFailed(
            f"this Python ({sys.executable}) cannot make virtual environments: install its venv package "
            "(Debian: python3-venv) or choose another one with `make PYTHON=… setup`"
        ) from error
    _run("virtual environment", sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT))


def _install() -> None:
    python = str(ENVIRONMENT / "bin" / "python")
    cache = HOME / "cache"
    quiet = ("--quiet",) if not sys.stderr.isatty() else ()
    pinned = ("--require-hashes", "-r")
    pip = (python, "-m", "pip", "--cache-dir", str(cache / "pip"), "--quiet", "install", "--only-binary=:all:")
    _run("installer", *pip, *pinned, str(REQUIREMENTS / "uv.txt"))
    uv = str(ENVIRONMENT / "bin" / "uv")
    settings = {"UV_CACHE_DIR": str(cache / "uv"), "VIRTUAL_ENV": str(ENVIRONMENT), "UV_SYSTEM_CERTS": "1"}
    _run("packages", uv, "pip", "install", *quiet, *pinned, str(REQUIREMENTS / "dev.txt"), environment=settings)
    ours = [part for package in packages() for part in ("--editable", str(package))]
    in_place = ("--quiet", "--no-deps", "--no-build-isolation", "--reinstall")
    _run("workspace", uv, "pip", "install", *in_place, *ours, environment=settings)


def set_up() -> None:
    """Brings the checkout to a state in which every target works. Raises SetupFailed."""
    if sys.version_info < OLDEST_PYTHON:
        raise SetupFailed(f"Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer is needed; this is {sys.version}")
    if is_current():
        return
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_current():
            return
        began = time.monotonic()
        _say("Setting up (once; later runs skip this)")
        _make_environment()
        STAMP.unlink(missing_ok=True)
        _install()
        _run("local world", str(ENVIRONMENT / "bin" / "python"), "-m", "xorj_localnet.prepare")
        STAMP.write_text(stamp())
        _say(f"Set-up done in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    try:
        set_up()
    except SetupFailed as failure:
        _say(f"make setup: {failure}")
        sys.exit(1)
    except OSError as failure:
        _say(f"make setup: {failure}; set-up writes to {ENVIRONMENT} and {HOME}")
        sys.exit(1)
    except KeyboardInterrupt:
        _say("make setup: stopped; run it again to go on")
        sys.exit(130)
