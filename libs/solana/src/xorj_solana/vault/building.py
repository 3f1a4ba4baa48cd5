"""What every builder of an instruction needs: the discriminator, and accounts with their privileges."""

import hashlib
from collections.abc import Sequence

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey


class InvalidInstruction(ValueError):
    """Arguments that the program could only refuse."""


def discriminator(name: str) -> bytes:
    """The eight bytes with which an instruction's data starts."""
    return hashlib.sha256(f"global:{name}".encode()).digest()[:8]


def build(program: Pubkey, name: str, arguments: bytes, accounts: Sequence[AccountMeta]) -> Instruction:
    return Instruction(program, discriminator(name) + arguments, list(accounts))


def signer(key: Pubkey, *, is_writable: bool = False) -> AccountMeta:
    return AccountMeta(key, is_signer=True, is_writable=is_writable)


def writable(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=True)


def readonly(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=False)
