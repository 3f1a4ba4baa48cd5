"""The accounts hash of `bot_trade`: which accounts, in which order, with which privileges.

The privileges are those that the runtime shows, so they are resolved over the whole message: an account that is
writable anywhere in it is writable everywhere, and the fee payer is a writable signer.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from solders.instruction import AccountMeta
from solders.message import MessageV0
from solders.pubkey import Pubkey

from xorj_solana.programs import UPGRADEABLE_LOADER

DOMAIN: Final = b"xorj.accounts.v1"


class UnresolvedLookup(ValueError):
    """A message loads an address from a table, or at an index, that was not supplied."""


def accounts_hash(accounts: Sequence[AccountMeta]) -> bytes:
    """sha256(domain | count u16 | count x (address [32] | flags u8: 1 signer, 2 writable)), little-endian; 32 bytes."""
    hasher = hashlib.sha256(DOMAIN + len(accounts).to_bytes(2, "little"))
    for account in accounts:
        hasher.update(bytes(account.pubkey) + bytes([account.is_signer | account.is_writable << 1]))
    return hasher.digest()


def message_accounts(message: MessageV0, tables: Mapping[Pubkey, Sequence[Pubkey]]) -> tuple[AccountMeta, ...]:
    """All accounts of a message in index order, with the privileges that the runtime gives them.

    `tables` holds the addresses of every lookup table that the message names; raises `UnresolvedLookup`.
    """
    keys = list(message.account_keys)
    flags = [(message.is_signer(index), message.is_maybe_writable(index)) for index in range(len(keys))]
    for writable in (True, False):
        for lookup in message.address_table_lookups:
            for index in lookup.writable_indexes if writable else lookup.readonly_indexes:
                table = tables.get(lookup.account_key, ())
                if index >= len(table):
                    raise UnresolvedLookup(f"table {lookup.account_key} has no entry {index}")
                keys.append(table[index])
                flags.append((False, writable))
    # A program that the message calls is never writable, unless the upgrade loader is in the message too.
    called = {instruction.program_id_index for instruction in message.instructions}
    demoted = set() if UPGRADEABLE_LOADER in keys else called
    return tuple(
        AccountMeta(key, is_signer=signer, is_writable=writable and index not in demoted)
        for index, (key, (signer, writable)) in enumerate(zip(keys, flags, strict=True))
    )


def accounts_hash_of_message(
    message: MessageV0, instruction_index: int, tables: Mapping[Pubkey, Sequence[Pubkey]]
) -> bytes:
    """The hash that the program computes for one instruction of a message."""
    accounts = message_accounts(message, tables)
    indexes = message.instructions[instruction_index].accounts
    return accounts_hash([accounts[index] for index in indexes])
