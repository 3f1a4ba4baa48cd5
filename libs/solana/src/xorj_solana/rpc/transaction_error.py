"""Why a transaction failed, as a closed kind. Pure.

1. A name this build does not know is ``UNRECOGNISED`` with its raw form kept: still a failure, never a success.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class TransactionErrorKind(Enum):
    """The runtime's transaction errors, by their names on the wire."""

    ACCOUNT_IN_USE = "AccountInUse"
    ACCOUNT_LOADED_TWICE = "AccountLoadedTwice"
    ACCOUNT_NOT_FOUND = "AccountNotFound"
    PROGRAM_ACCOUNT_NOT_FOUND = "ProgramAccountNotFound"
    INSUFFICIENT_FUNDS_FOR_FEE = "InsufficientFundsForFee"
    INVALID_ACCOUNT_FOR_FEE = "InvalidAccountForFee"
    ALREADY_PROCESSED = "AlreadyProcessed"
    BLOCKHASH_NOT_FOUND = "BlockhashNotFound"
    INSTRUCTION_ERROR = "InstructionError"
    CALL_CHAIN_TOO_DEEP = "CallChainTooDeep"
    MISSING_SIGNATURE_FOR_FEE = "MissingSignatureForFee"
    INVALID_ACCOUNT_INDEX = "InvalidAccountIndex"
    SIGNATURE_FAILURE = "SignatureFailure"
    INVALID_PROGRAM_FOR_EXECUTION = "InvalidProgramForExecution"
    SANITIZE_FAILURE = "SanitizeFailure"
    CLUSTER_MAINTENANCE = "ClusterMaintenance"
    ACCOUNT_BORROW_OUTSTANDING = "AccountBorrowOutstanding"
    WOULD_EXCEED_MAX_BLOCK_COST_LIMIT = "WouldExceedMaxBlockCostLimit"
    UNSUPPORTED_VERSION = "UnsupportedVersion"
    INVALID_WRITABLE_ACCOUNT = "InvalidWritableAccount"
    WOULD_EXCEED_MAX_ACCOUNT_COST_LIMIT = "WouldExceedMaxAccountCostLimit"
    WOULD_EXCEED_ACCOUNT_DATA_BLOCK_LIMIT = "WouldExceedAccountDataBlockLimit"
    TOO_MANY_ACCOUNT_LOCKS = "TooManyAccountLocks"
    ADDRESS_LOOKUP_TABLE_NOT_FOUND = "AddressLookupTableNotFound"
    INVALID_ADDRESS_LOOKUP_TABLE_OWNER = "InvalidAddressLookupTableOwner"
    INVALID_ADDRESS_LOOKUP_TABLE_DATA = "InvalidAddressLookupTableData"
    INVALID_ADDRESS_LOOKUP_TABLE_INDEX = "InvalidAddressLookupTableIndex"
    INVALID_RENT_PAYING_ACCOUNT = "InvalidRentPayingAccount"
    WOULD_EXCEED_MAX_VOTE_COST_LIMIT = "WouldExceedMaxVoteCostLimit"
    WOULD_EXCEED_ACCOUNT_DATA_TOTAL_LIMIT = "WouldExceedAccountDataTotalLimit"
    DUPLICATE_INSTRUCTION = "DuplicateInstruction"
    INSUFFICIENT_FUNDS_FOR_RENT = "InsufficientFundsForRent"
    MAX_LOADED_ACCOUNTS_DATA_SIZE_EXCEEDED = "MaxLoadedAccountsDataSizeExceeded"
    INVALID_LOADED_ACCOUNTS_DATA_SIZE_LIMIT = "InvalidLoadedAccountsDataSizeLimit"
    RESANITIZATION_NEEDED = "ResanitizationNeeded"
    PROGRAM_EXECUTION_TEMPORARILY_RESTRICTED = "ProgramExecutionTemporarilyRestricted"
    UNBALANCED_TRANSACTION = "UnbalancedTransaction"
    PROGRAM_CACHE_HIT_MAX_LIMIT = "ProgramCacheHitMaxLimit"
    COMMIT_CANCELLED = "CommitCancelled"
    UNRECOGNISED = "?"


@dataclass(frozen=True, slots=True)
class TransactionError:
    """A failure of a transaction.

    ``instruction_index`` is the top-level instruction of an ``INSTRUCTION_ERROR``; ``custom_code`` the program's own
    number, which may come from a program it called; ``instruction_error`` the runtime's name otherwise.
    """

    kind: TransactionErrorKind
    instruction_index: int | None = None
    custom_code: int | None = None
    instruction_error: str | None = None
    raw: str = ""


def parse_transaction_error(value: object) -> TransactionError:
    """The error in a JSON ``err`` value that is not null. Never raises: rubbish is ``UNRECOGNISED``."""
    raw = json.dumps(value, sort_keys=True, default=str)
    if isinstance(value, str):
        return TransactionError(_kind(value), raw=raw)
    if not isinstance(value, Mapping) or len(value) != 1:
        return TransactionError(TransactionErrorKind.UNRECOGNISED, raw=raw)
    name, detail = next(iter(value.items()))
    kind = _kind(name)
    if kind is not TransactionErrorKind.INSTRUCTION_ERROR:
        return TransactionError(kind, raw=raw)
    match detail:
        case [int(index), {"Custom": int(code)}] if not isinstance(index, bool) and not isinstance(code, bool):
            return TransactionError(kind, index, custom_code=code, raw=raw)
        case [int(index), str(inner)] if not isinstance(index, bool):
            return TransactionError(kind, index, instruction_error=inner, raw=raw)
        case [int(index), Mapping() as named] if not isinstance(index, bool) and len(named) == 1:
            return TransactionError(kind, index, instruction_error=str(next(iter(named))), raw=raw)
        case _:
            return TransactionError(TransactionErrorKind.UNRECOGNISED, raw=raw)


def _kind(name: object) -> TransactionErrorKind:
    try:
        return TransactionErrorKind(name)
    except ValueError:
        return TransactionErrorKind.UNRECOGNISED
