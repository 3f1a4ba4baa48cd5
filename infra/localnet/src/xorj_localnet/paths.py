"""Owns where the local world keeps its files.

1. Everything lives under one directory, XORJ_HOME (default: `.xorj` in the repository); nothing under the user's home.
2. `cache/` can be deleted at any time and is rebuilt by set-up; `world/` belongs to one running world.
"""

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[4]


@dataclass(frozen=True, slots=True)
class Home:
    """The project's own directory for downloads and worlds."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """XORJ_HOME, or `.xorj` in the repository."""
        named = os.environ.get("XORJ_HOME", "")
        return cls(Path(named).resolve() if named else REPOSITORY / ".xorj")

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def jars(self) -> Path:
        return self.cache / "kafka"

    @property
    def broker_start(self) -> Path:
        """What set-up prepares so that the broker starts fast: class archive and boot snapshot."""
        return self.cache / "broker"

    @property
    def world(self) -> Path:
        return self.root / "world"


KAFKA_JAR_LIST = REPOSITORY / "infra" / "kafka" / "jars.sha256"
