"""What a newcomer types: every target explains itself, and an absent part is said with how to get it."""

import re
import subprocess

import pytest
from xorj_localnet.paths import REPOSITORY

from tests.parts import require_part


def test_every_target_is_listed_by_help() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    listed = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert sorted(phony[1].split()) == sorted(re.findall(r"^  make (\S+)", listed, re.MULTILINE))


def test_everything_that_is_installed_is_pinned_by_hash() -> None:
    for file in ("uv.txt", "dev.txt"):
        lines = (REPOSITORY / "requirements" / file).read_text().splitlines()
        names = [number for number, line in enumerate(lines) if line and line[0] not in " #"]
        assert names
        assert all("==" in lines[number] and "--hash=sha256:" in lines[number + 1] for number in names)


def test_an_absent_part_skips_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XORJ_REQUIRE", raising=False)
    require_part("browser", found=True, how_to_get="")
    with pytest.raises(pytest.skip.Exception, match="browser not found: install it"):
        require_part("browser", found=False, how_to_get="install it")


def test_an_absent_part_that_is_required_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XORJ_REQUIRE", "softhsm, browser")
    with pytest.raises(pytest.fail.Exception, match="required by XORJ_REQUIRE"):
        require_part("browser", found=False, how_to_get="install it")
