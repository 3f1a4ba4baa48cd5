"""Why the vault program refuses, by number, and which program of a failed transaction said it.

1. A number means something only together with the program that returned it: pools use the same range.
2. The program to blame is the innermost that failed, not the one that the transaction called.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from solders.pubkey import Pubkey


class VaultError(IntEnum):
    """Error codes, as rules/src/refusal.rs numbers them."""

    UNKNOWN_INSTRUCTION = 6000
    MALFORMED_DATA = 6001
    WRONG_ACCOUNTS = 6002
    WRONG_CONFIG = 6003
    WRONG_VAULT = 6004
    WRONG_TRADE_AUTHORITY = 6005
    WRONG_MINT = 6006
    WRONG_TOKEN_ACCOUNT = 6007
    WRONG_TOKEN_PROGRAM = 6008
    NOT_UPGRADE_AUTHORITY = 6009
    ALREADY_INITIALIZED = 6010
    INVALID_CONFIGURATION = 6011
    NOT_ADMIN = 6012
    NOT_OWNER = 6013
    WRONG_BOT_AUTHORITY = 6014
    PAUSED = 6015
    BOT_DISABLED = 6016
    WRONG_SEQUENCE = 6017
    EXPIRED = 6018
    EXPIRY_TOO_FAR = 6019
    SWAP_PROGRAM_NOT_ALLOWED = 6020
    ACCOUNTS_HASH_MISMATCH = 6021
    INSUFFICIENT_FUNDS = 6022
    TOO_MUCH_IN = 6023
    TOO_LITTLE_OUT = 6024
    ACCOUNT_STATE_CHANGED = 6025
    LAMPORTS_LOWER = 6026
    VAULT_CHANGED_DURING_SWAP = 6027
    CALLED_BY_ANOTHER_PROGRAM = 6028
    UNSUPPORTED_MINT = 6029
    ZERO_AMOUNT = 6030
    OVERFLOW = 6031
    SHARE_EXCEEDED = 6032
    TURNOVER_EXCEEDED = 6033
    TOO_SOON = 6034
    MINT_NOT_ALLOWED = 6035
    INVALID_LIMITS = 6036
    INVALID_CHANGE = 6037
    ALREADY_SCHEDULED = 6038
    NOT_SCHEDULED = 6039
    NOT_DUE = 6040
    LAPSED = 6041
    VETO_SPENT = 6042
    NO_PLACE = 6043
    NOT_ACTIVE = 6044
    UNPAUSE_LOCKED = 6045
    INVALID_DELAY = 6046
    FOREIGN_TRADE_ACCOUNT = 6047
    MINT_NOT_OPENED = 6048


ERRORS: Final[Mapping[VaultError, str]] = {
    VaultError.UNKNOWN_INSTRUCTION: "the data starts with no instruction of this program",
    VaultError.MALFORMED_DATA: "the instruction's arguments are too short, too long or out of range",
    VaultError.WRONG_ACCOUNTS: "too few or too many accounts",
    VaultError.WRONG_CONFIG: "not the program's configuration account",
    VaultError.WRONG_VAULT: "not a vault of this program, or not at the owner's address",
    VaultError.WRONG_TRADE_AUTHORITY: "not this vault's trade authority",
    VaultError.WRONG_MINT: "not a mint of the token program given, or the same mint on both sides",
    VaultError.WRONG_TOKEN_ACCOUNT: "not the token account of that wallet and mint",
    VaultError.WRONG_TOKEN_PROGRAM: "neither SPL Token nor Token-2022",
    VaultError.NOT_UPGRADE_AUTHORITY: "only the program's upgrade authority may initialize it",
    VaultError.ALREADY_INITIALIZED: "the account exists already",
    VaultError.INVALID_CONFIGURATION: "a key is missing, listed twice, for two roles, or of an unknown kind",
    VaultError.NOT_ADMIN: "only the admin may do this, or the guardian where it makes less possible",
    VaultError.NOT_OWNER: "only the vault's owner may do this",
    VaultError.WRONG_BOT_AUTHORITY: "not signed by an active bot authority",
    VaultError.PAUSED: "trading is paused for all vaults",
    VaultError.BOT_DISABLED: "the owner has not enabled the bot, or it was disabled",
    VaultError.WRONG_SEQUENCE: "the trade's sequence is not the vault's next one",
    VaultError.EXPIRED: "the expiry slot has passed",
    VaultError.EXPIRY_TOO_FAR: "the expiry slot is more than 300 slots ahead",
    VaultError.SWAP_PROGRAM_NOT_ALLOWED: "the swap program is not in the configuration",
    VaultError.ACCOUNTS_HASH_MISMATCH: "the accounts or their privileges are not those that were planned",
    VaultError.INSUFFICIENT_FUNDS: "the vault holds less than the trade may spend",
    VaultError.TOO_MUCH_IN: "the swap took more than the trade allows",
    VaultError.TOO_LITTLE_OUT: "the vault received less than the trade demands",
    VaultError.ACCOUNT_STATE_CHANGED: "a token account is frozen, delegated, closable by another, resized or not empty",
    VaultError.LAMPORTS_LOWER: "an account of the vault has fewer lamports than before",
    VaultError.VAULT_CHANGED_DURING_SWAP: "the vault's state changed during the swap",
    VaultError.CALLED_BY_ANOTHER_PROGRAM: "a trade must be a top-level instruction",
    VaultError.UNSUPPORTED_MINT: "the mint is not initialised or carries an extension that is not known to be harmless",
    VaultError.ZERO_AMOUNT: "an amount is zero",
    VaultError.OVERFLOW: "an amount does not fit in 64 bits",
    VaultError.SHARE_EXCEEDED: "the trade may spend a larger share of the balance than the owner allows",
    VaultError.TURNOVER_EXCEEDED: "this window's trades and the last one's would spend more than the owner allows",
    VaultError.TOO_SOON: "fewer slots since the last trade than the owner demands",
    VaultError.MINT_NOT_ALLOWED: "the owner's limits do not list a mint of the trade",
    VaultError.INVALID_LIMITS: "a share above the whole, no window, too many mints, or a zero or double one",
    VaultError.INVALID_CHANGE: "the change is unknown, forbidden now, or would do nothing",
    VaultError.ALREADY_SCHEDULED: "the same change waits already",
    VaultError.NOT_SCHEDULED: "no such change waits",
    VaultError.NOT_DUE: "the delay has not passed yet, in seconds or in slots",
    VaultError.LAPSED: "the change was not applied in time; schedule it again",
    VaultError.VETO_SPENT: "the guardian has cancelled this change once already",
    VaultError.NO_PLACE: "all places of the configuration are taken",
    VaultError.NOT_ACTIVE: "not an active bot authority, or not a configured swap program",
    VaultError.UNPAUSE_LOCKED: "something was added since the pause: schedule resuming; or waits: cancel it first",
    VaultError.INVALID_DELAY: "not longer than the present delay, or outside what is allowed",
    VaultError.FOREIGN_TRADE_ACCOUNT: "the swap can reach, or has made, another token account of the trade authority",
    VaultError.MINT_NOT_OPENED: "a mint of the trade was listed and not opened since: open_mint comes after set_limits",
}

_FAILED = re.compile(r"^Program (?P<program>\w+) failed: custom program error: 0x(?P<code>[0-9a-f]+)$")


@dataclass(frozen=True, slots=True)
class ProgramFailure:
    """The innermost program that failed with a number of its own."""

    program: Pubkey
    code: int

    def vault_error(self, vault_program: Pubkey) -> VaultError | None:
        """None when another program failed, or with a number that this build does not know."""
        if self.program != vault_program or self.code not in VaultError._value2member_map_:
            return None
        return VaultError(self.code)


def find_failure(logs: Iterable[str]) -> ProgramFailure | None:
    """The first failure of the logs, which is the innermost; None when none carries a number."""
    for line in logs:
        match = _FAILED.match(line)
        if match is not None:
            return ProgramFailure(Pubkey.from_string(match["program"]), int(match["code"], 16))
    return None
