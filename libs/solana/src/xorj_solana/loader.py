"""The upgradeable loader (version 3): its accounts' states and the instructions that write, deploy, upgrade and close.

1. A state is read from the account's first bytes alone; whether the account belongs to the loader, the caller checks.
2. Sizes and offsets are those of the loader's bincode: a 4-byte tag, then fixed fields, then the program's bytes.
"""

import struct
from dataclasses import dataclass
from typing import Final

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from xorj_solana.programs import SYSTEM, UPGRADEABLE_LOADER
from xorj_solana.tokens import MalformedAccount
from xorj_solana.vault.addresses import program_data_address

BUFFER_META_LEN: Final = 37
PROGRAM_LEN: Final = 36
PROGRAM_DATA_META_LEN: Final = 45
ACCOUNT_LEN_MAX: Final = 10 * 1024 * 1024
EXTEND_LEN_MIN: Final = 10_240
"""Clusters refuse smaller extensions, unless less than this is left to the largest size."""

_RENT: Final = Pubkey.from_string("SysvarRent111111111111111111111111111111111")
_CLOCK: Final = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")


@dataclass(frozen=True, slots=True)
class Buffer:
    """A place where a program's bytes are collected; `authority` may write, deploy from and close it."""

    authority: Pubkey | None
    elf: bytes


@dataclass(frozen=True, slots=True)
class Program:
    """The account that is called; the code stands at `program_data`."""

    program_data: Pubkey


@dataclass(frozen=True, slots=True)
class ProgramData:
    """A program's code, zero-padded to the room it has. Without `upgrade_authority` nobody can ever change it."""

    slot: int
    upgrade_authority: Pubkey | None
    elf: bytes


def parse_state(data: bytes) -> Buffer | Program | ProgramData | None:
    """The state in an account of the loader; None when it is uninitialised or closed. Raises `MalformedAccount`."""
    if len(data) < 4:
        raise MalformedAccount("an account of the loader has at least 4 bytes")
    match int.from_bytes(data[:4], "little"):
        case 0:
            return None
        case 1:
            return Buffer(_authority(data, 4), data[BUFFER_META_LEN:])
        case 2 if len(data) >= PROGRAM_LEN:
            return Program(Pubkey(data[4:PROGRAM_LEN]))
        case 3:
            authority = _authority(data, 12)
            return ProgramData(int.from_bytes(data[4:12], "little"), authority, data[PROGRAM_DATA_META_LEN:])
        case tag:
            raise MalformedAccount(f"no account of the loader: tag {tag}, {len(data)} bytes")


def _authority(data: bytes, at: int) -> Pubkey | None:
    if len(data) < at + 33 or data[at] > 1:
        raise MalformedAccount("an account of the loader without room for its authority")
    return Pubkey(data[at + 1 : at + 33]) if data[at] else None


def buffers_of(authority: Pubkey) -> bytes:
    """The first bytes of every buffer of this authority: what to filter the loader's accounts by."""
    return (1).to_bytes(4, "little") + b"\x01" + bytes(authority)


def initialize_buffer(buffer: Pubkey, authority: Pubkey) -> Instruction:
    """Turns an account of the loader, zeroed and of its final size, into a buffer. Nobody signs."""
    return _instruction(0, b"", _writable(buffer), _readonly(authority))


def write(buffer: Pubkey, authority: Pubkey, offset: int, chunk: bytes) -> Instruction:
    """Puts `chunk` at `offset` of the program's bytes; the buffer's authority signs."""
    body = struct.pack("<IQ", offset, len(chunk)) + chunk
    return _instruction(1, body, _writable(buffer), _signer(authority))


def deploy(payer: Pubkey, program: Pubkey, buffer: Pubkey, authority: Pubkey, data_len_max: int) -> Instruction:
    """Makes a program of a buffer, with room for `data_len_max` bytes of code; payer and authority sign.

    `program` is an account of the loader with `PROGRAM_LEN` zero bytes. The buffer's lamports go to the payer, who pays
    the rent of the program's data.
    """
    return _instruction(
        2,
        struct.pack("<Q", data_len_max),
        AccountMeta(payer, is_signer=True, is_writable=True),
        _writable(program_data_address(program)),
        _writable(program),
        _writable(buffer),
        _readonly(_RENT),
        _readonly(_CLOCK),
        _readonly(SYSTEM),
        _signer(authority),
    )


def upgrade(program: Pubkey, buffer: Pubkey, spill: Pubkey, authority: Pubkey) -> Instruction:
    """Replaces a program's code by a buffer's; both have the authority that signs. `spill` gets the buffer's rent."""
    return _instruction(
        3,
        b"",
        _writable(program_data_address(program)),
        _writable(program),
        _writable(buffer),
        _writable(spill),
        _readonly(_RENT),
        _readonly(_CLOCK),
        _signer(authority),
    )


def set_authority(account: Pubkey, authority: Pubkey, new: Pubkey | None) -> Instruction:
    """Gives a buffer or a program's data to another authority, or for ever to none; the present one signs."""
    accounts = [_writable(account), _signer(authority)]
    if new is not None:
        accounts.append(_readonly(new))
    return _instruction(4, b"", *accounts)


def set_authority_checked(account: Pubkey, authority: Pubkey, new: Pubkey) -> Instruction:
    """The same, and the new authority signs too, so that a mistyped one cannot get it."""
    return _instruction(7, b"", _writable(account), _signer(authority), _signer(new))


def close_buffer(buffer: Pubkey, recipient: Pubkey, authority: Pubkey) -> Instruction:
    """Gives a buffer's lamports back; its authority signs."""
    return _instruction(5, b"", _writable(buffer), _writable(recipient), _signer(authority))


def extend_program(program: Pubkey, payer: Pubkey, more_bytes: int) -> Instruction:
    """Adds room for code; anyone may pay for it. Clusters with `extend_program_checked` refuse this one."""
    accounts = (_writable(program_data_address(program)), _writable(program), _readonly(SYSTEM))
    return _instruction(
        6, struct.pack("<I", more_bytes), *accounts, AccountMeta(payer, is_signer=True, is_writable=True)
    )


def extend_program_checked(program: Pubkey, authority: Pubkey, payer: Pubkey, more_bytes: int) -> Instruction:
    """The same where the cluster wants the upgrade authority's signature for it."""
    accounts = (
        _writable(program_data_address(program)),
        _writable(program),
        _signer(authority),
        _readonly(SYSTEM),
        AccountMeta(payer, is_signer=True, is_writable=True),
    )
    return _instruction(9, struct.pack("<I", more_bytes), *accounts)


def _instruction(tag: int, body: bytes, *accounts: AccountMeta) -> Instruction:
    return Instruction(UPGRADEABLE_LOADER, struct.pack("<I", tag) + body, list(accounts))


def _signer(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=True, is_writable=False)


def _writable(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=True)


def _readonly(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=False)
