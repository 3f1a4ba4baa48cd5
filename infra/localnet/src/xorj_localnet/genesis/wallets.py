"""Owns the keys of the people in a local world: who may upgrade, administrate and pause, and who owns a vault.

1. Seeds are made at run time and exist only in files of mode 0600 inside the directory given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from solders.keypair import Keypair

from xorj_localnet.files import write_secret


@dataclass(frozen=True, slots=True)
class Wallets:
    """Key pairs of one world; `owners` by the name of the vault that each owns."""

    upgrade_authority: Keypair
    admin: Keypair
    guardian: Keypair
    owners: Mapping[str, Keypair]


def generate_wallets(directory: Path, owners: Sequence[str]) -> Wallets:
    """Makes every key and writes each seed as hexadecimal to `<name>.seed`."""
    made = {name: Keypair() for name in ("upgrade-authority", "admin", "guardian", *owners)}
    for name, pair in made.items():
        write_secret(directory / f"{name}.seed", bytes(pair)[:32].hex().encode())
    return Wallets(
        upgrade_authority=made["upgrade-authority"],
        admin=made["admin"],
        guardian=made["guardian"],
        owners={name: made[name] for name in owners},
    )
