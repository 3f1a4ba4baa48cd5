"""The committed programs are the ones that the sources make."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import require_part, required_parts

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "infra" / "programs"
BUILT = PROGRAMS / "built"
TOOLCHAIN = Path(os.environ.get("XORJ_PROGRAM_TOOLS") or ROOT / ".xorj" / "toolchain")
NAMES = ("vault.so", "cpmm.so")


def toolchain() -> None:
    """Skips, or fails where required, unless the pinned compiler is unpacked and cargo is there."""
    found = (TOOLCHAIN / "ready").is_file() and shutil.which("cargo") is not None
    if not found and "toolchain" in required_parts() and shutil.which("cargo") and platform.machine() == "x86_64":
        subprocess.run([str(PROGRAMS / "tools" / "setup.sh")], check=True)
        found = True
    require_part("toolchain", found, "cargo and infra/programs/tools/setup.sh unpack it")


def test_the_programs_and_their_hashes_are_committed() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    paths = [f"infra/programs/built/{name}" for name in (*NAMES, "SHA256SUMS")]
    # A checkout of another user's is readable, but git wants to be told so.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "--", *paths]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    assert sorted(listed) == sorted(paths)


def test_the_hashes_are_those_of_the_programs() -> None:
    rows = [line.split() for line in (BUILT / "SHA256SUMS").read_text().splitlines()]
    assert [name for _, name in rows] == list(NAMES)
    for digest, name in rows:
        assert hashlib.sha256((BUILT / name).read_bytes()).hexdigest() == digest, name


def test_a_rebuild_gives_the_same_bytes(tmp_path: Path) -> None:
    toolchain()
    # A copy elsewhere, so that a path that found its way into the bytes would show.
    sources = tmp_path / "elsewhere" / "infra" / "programs"
    shutil.copytree(PROGRAMS, sources, ignore=shutil.ignore_patterns("built", "target", "__pycache__"))
    environment = {**os.environ, "XORJ_PROGRAM_TOOLS": str(TOOLCHAIN)}
    made = subprocess.run(
        [str(sources / "build.sh"), str(tmp_path / "out")], env=environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr[-4_000:]
    for name in NAMES:
        assert (tmp_path / "out" / name).read_bytes() == (BUILT / name).read_bytes(), f"{name} differs from its sources"


def test_a_crate_outside_the_pinned_set_fails_the_build(tmp_path: Path) -> None:
    pins = (PROGRAMS / "crates.txt").read_text()
    lock = tmp_path / "Cargo.lock"
    script = [sys.executable, str(PROGRAMS / "tools" / "crates.py")]
    subprocess.run([*script, "lock", str(PROGRAMS / "crates.txt"), str(lock)], check=True)
    check = [*script, "check", str(PROGRAMS / "crates.txt"), str(lock)]
    assert subprocess.run(check, check=False).returncode == 0
    planted = pins.replace("pinocchio 0.12.0 4", "pinocchio 0.12.0 5")
    assert planted != pins
    (tmp_path / "crates.txt").write_text(planted)
    check[-2] = str(tmp_path / "crates.txt")
    result = subprocess.run(check, check=False, capture_output=True, text=True)
    assert result.returncode == 1
    assert "pinocchio 0.12.0" in result.stderr


def test_the_rules_hold_on_this_machine(tmp_path: Path) -> None:
    if shutil.which("cargo") is None:
        require_part("toolchain", found=False, how_to_get="cargo")
    work = tmp_path / "programs"
    shutil.copytree(PROGRAMS / "rules", work / "rules")
    (work / "Cargo.toml").write_text(
        '[workspace]\nresolver = "3"\nmembers = ["rules"]\n\n'
        '[workspace.package]\nversion = "0.1.0"\nedition = "2024"\npublish = false\n'
    )
    run = subprocess.run(
        ["cargo", "test", "--quiet", "--offline", "-p", "rules"], cwd=work, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "test result: ok. 11 passed" in run.stdout
