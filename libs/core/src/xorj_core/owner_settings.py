"""What an owner signs to allow trading: the statement's text, and the vault that is the owner's.

1. One statement for one setting: every field stands in the text, on a line of its own, in a fixed order.
2. A wallet shows the text as it is signed; it can be no transaction, whose first bytes are never printable.
3. It names the cluster and the vault, whose address depends on program and owner: it holds nowhere else.
"""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from xorj_core.base58 import address_text
from xorj_core.facts.user_settings import SettingsChanged

TITLE = "XORJ: I allow these settings for my vault."
_VAULT_SEED = b"vault"
_DERIVED = b"ProgramDerivedAddress"

Verify: TypeAlias = Callable[[bytes, bytes, bytes], bool]
"""Public key, message and signature to whether it is that key's Ed25519 signature (RFC 8032)."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where vaults are: one cluster's genesis hash and the vault program's address, 32 bytes each."""

    genesis_hash: bytes
    vault_program: bytes


def has_owner_signed(settings: SettingsChanged, deployment: Deployment, verify: Verify) -> bool:
    """Whether the vault's own owner has signed exactly these settings for this deployment."""
    return is_vault_of(settings.vault, settings.owner, deployment.vault_program) and verify(
        settings.owner, settings_statement(settings, deployment.genesis_hash), settings.owner_signature
    )


@functools.lru_cache(maxsize=4096)  # asked for again with every trade of the vault, and base58 is slow
def settings_statement(settings: SettingsChanged, genesis_hash: bytes) -> bytes:
    """The UTF-8 text that the owner's Ed25519 key signs; `genesis_hash` is the cluster's, 32 bytes."""
    lines = [
        TITLE,
        f"cluster: {address_text(genesis_hash)}",
        f"vault: {address_text(settings.vault)}",
        f"owner: {address_text(settings.owner)}",
        f"version: {settings.version}",
        f"trading: {'on' if settings.enabled else 'off'}",
        f"profile: {settings.profile.name.lower()}",
        f"slippage at most: {settings.slippage_bps_max} bps",
        f"dead band: {settings.dead_band_bps} bps",
        f"trade value at least: {settings.trade_value_micro_usd_min} micro-USD",
        f"trade value at most: {settings.trade_value_micro_usd_max} micro-USD",
        f"value a day at most: {settings.day_value_micro_usd_max} micro-USD",
        *(f"mint: {address_text(mint)}" for mint in settings.allowed_mints),
    ]
    return ("\n".join(lines) + "\n").encode()


@functools.lru_cache(maxsize=4096)
def is_vault_of(vault: bytes, owner: bytes, vault_program: bytes) -> bool:
    """Whether `vault` is derived from ("vault", owner) by the program, with any bump seed (Solana, derived addresses).

    A bump that is not the highest valid one gives an address at which the program opens no vault, so none is lost by
    not looking whether the point is on the curve.
    """
    before, after = _VAULT_SEED + owner, vault_program + _DERIVED
    return any(hashlib.sha256(before + bytes([bump]) + after).digest() == vault for bump in range(255, -1, -1))
