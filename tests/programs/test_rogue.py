"""The hostile program of the tests is what its sources say, and part of nothing else."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.programs.rogue import SO
from tests.programs.svm_world import BUILT
from tests.programs.test_built import PROGRAMS, TOOLCHAIN, toolchain


def test_it_is_not_among_the_programs_that_are_deployed() -> None:
    assert not (BUILT / SO.name).exists()
    assert SO.name not in (BUILT / "SHA256SUMS").read_text()
    digest, name = (SO.parent / "SHA256SUMS").read_text().split()
    assert (digest, name) == (hashlib.sha256(SO.read_bytes()).hexdigest(), SO.name)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_rebuild_gives_the_same_bytes(tmp_path: Path) -> None:
    toolchain()
    sources = tmp_path / "elsewhere" / "programs"
    shutil.copytree(PROGRAMS, sources, ignore=shutil.ignore_patterns("built", "target", "__pycache__"))
    environment = {**os.environ, "XORJ_PROGRAM_TOOLS": str(TOOLCHAIN)}
    command = [str(sources / "build.sh"), str(tmp_path / "out"), "rogue"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert (tmp_path / "out" / SO.name).read_bytes() == SO.read_bytes()
