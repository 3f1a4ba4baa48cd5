"""Builders of the instructions that keep the program: its configuration, and every change of it.

1. What makes less possible takes effect at once: pause, retire, remove, a longer delay.
2. What makes more possible is scheduled, and applied by anybody once the delay has passed.
"""

import struct
from collections.abc import Sequence
from typing import Final

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from xorj_solana.programs import SYSTEM
from xorj_solana.vault.addresses import config_address, program_data_address
from xorj_solana.vault.building import InvalidInstruction, build, readonly, signer, writable
from xorj_solana.vault.changes import Change, encode_change

_PLACES: Final = 4


def initialize(
    program: Pubkey,
    *,
    payer: Pubkey,
    upgrade_authority: Pubkey,
    admin: Pubkey,
    guardian: Pubkey,
    swap_programs: Sequence[Pubkey],
    bot_authorities: Sequence[Pubkey],
    delay_s: int,
) -> Instruction:
    """Up to four swap programs and four Ed25519 bot authorities; `delay_s` is what later additions wait.

    Payer and upgrade authority sign. Raises `InvalidInstruction` on more places than there are.
    """
    if len(swap_programs) > _PLACES or len(bot_authorities) > _PLACES:
        raise InvalidInstruction(f"at most {_PLACES} swap programs and {_PLACES} bot authorities")
    programs = b"".join(bytes(key) for key in swap_programs).ljust(32 * _PLACES, b"\0")
    authorities = b"".join(b"\x01" + bytes(key) + b"\0" for key in bot_authorities).ljust(34 * _PLACES, b"\0")
    accounts = [
        signer(payer, is_writable=True),
        signer(upgrade_authority),
        writable(config_address(program)),
        readonly(program),
        readonly(program_data_address(program)),
        readonly(SYSTEM),
    ]
    data = bytes(admin) + bytes(guardian) + programs + authorities + struct.pack("<Q", delay_s)
    return build(program, "initialize", data, accounts)


def set_paused(program: Pubkey, *, authority: Pubkey, paused: bool) -> Instruction:
    """The admin signs, or the guardian when pausing. Resuming after a change of the configuration takes `Unpause`."""
    return _keep(program, "set_paused", bytes([paused]), authority)


def schedule(program: Pubkey, *, admin: Pubkey, change: Change) -> Instruction:
    """The admin signs; the change becomes due when the configuration's delay has passed."""
    return _keep(program, "schedule", encode_change(change), admin)


def cancel(program: Pubkey, *, authority: Pubkey, change: Change) -> Instruction:
    """The admin signs, or the guardian, who may cancel the same change once."""
    return _keep(program, "cancel", encode_change(change), authority)


def apply(program: Pubkey, *, change: Change) -> Instruction:
    """Nobody need sign; the change must be due. A new admin uses `accept_admin` instead."""
    return build(program, "apply", encode_change(change), [writable(config_address(program))])


def accept_admin(program: Pubkey, *, new_admin: Pubkey) -> Instruction:
    """The proposed admin signs, once `SetAdmin` is due."""
    return _keep(program, "accept_admin", b"", new_admin)


def retire_authority(program: Pubkey, *, authority: Pubkey, key: Pubkey) -> Instruction:
    """Admin or guardian signs; the bot authority `key` signs no trade from then on."""
    return _keep(program, "retire_authority", b"\x01" + bytes(key) + b"\0", authority)


def remove_program(program: Pubkey, *, authority: Pubkey, removed: Pubkey) -> Instruction:
    """Admin or guardian signs; no trade goes through the swap program `removed` from then on."""
    return _keep(program, "remove_program", bytes(removed), authority)


def raise_delay(program: Pubkey, *, admin: Pubkey, delay_s: int) -> Instruction:
    """The admin signs; a shorter delay takes `LowerDelay`."""
    return _keep(program, "raise_delay", struct.pack("<Q", delay_s), admin)


def _keep(program: Pubkey, name: str, data: bytes, key: Pubkey) -> Instruction:
    return build(program, name, data, [signer(key), writable(config_address(program))])
