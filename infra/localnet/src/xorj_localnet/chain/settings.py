"""Settings of the local cluster, read once from the environment. A wrong value names its variable and the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xorj_localnet.chain.slots import Depths


class ChainSettingsError(ValueError):
    """A setting is missing or outside its range."""


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """Where to listen, how fast slots pass and what exists at genesis.

    ``slot_ms`` 0 means that slots pass only by ``local_warpSlots``; ``port`` 0 means any free port.
    """

    port: int
    ready_file: Path | None
    slot_ms: int
    depths: Depths
    genesis_file: Path | None


def read_settings(environment: Mapping[str, str]) -> ChainSettings:
    """Settings from ``XORJ_CHAIN_*`` variables; raises ``ChainSettingsError``."""
    try:
        depths = Depths(
            confirmed_slots=_whole(environment, "XORJ_CHAIN_CONFIRMED_DEPTH_SLOTS", 2, 512),
            finalized_slots=_whole(environment, "XORJ_CHAIN_FINALIZED_DEPTH_SLOTS", 32, 512),
        )
    except ValueError as error:
        raise ChainSettingsError(str(error)) from error
    return ChainSettings(
        port=_whole(environment, "XORJ_CHAIN_PORT", 0, 65_535),
        ready_file=_path(environment, "XORJ_CHAIN_READY_FILE"),
        slot_ms=_whole(environment, "XORJ_CHAIN_SLOT_MS", 300, 60_000),
        depths=depths,
        genesis_file=_path(environment, "XORJ_CHAIN_GENESIS_FILE"),
    )


def _whole(environment: Mapping[str, str], name: str, default: int, largest: int) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) > largest:
        raise ChainSettingsError(f"{name} must be a whole number from 0 to {largest}, not {text!r}")
    return int(text)


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name, "").strip()
    return Path(text) if text else None
