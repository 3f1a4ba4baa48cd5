"""JSON-RPC faults with the codes and shapes a Solana node gives, and the texts of transaction errors.

1. Every refusal of a request is an ``RpcFault``; nothing else crosses from the methods to the server.
2. A transaction error travels as the JSON value a node would print: a bare name, or an object with one key.
"""

from __future__ import annotations

from typing import cast

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
PREFLIGHT_FAILURE = -32002
SIGNATURE_VERIFICATION_FAILURE = -32003
UNSUPPORTED_TRANSACTION_VERSION = -32015
MIN_CONTEXT_SLOT_NOT_REACHED = -32016


class RpcFault(Exception):
    """A refused request: JSON-RPC ``code``, human text, optional ``data``."""

    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def as_json(self) -> Json:
        """The ``error`` member of a JSON-RPC response."""
        body: dict[str, Json] = {"code": self.code, "message": self.message}
        if self.data is not None:
            body["data"] = self.data
        return body


def invalid_params(message: str) -> RpcFault:
    """Parameters that a node would refuse before doing anything."""
    return RpcFault(INVALID_PARAMS, message)


def min_context_slot_not_reached(context_slot: int) -> RpcFault:
    """The bank asked for is older than the caller's ``minContextSlot``."""
    return RpcFault(
        MIN_CONTEXT_SLOT_NOT_REACHED, "Minimum context slot has not been reached", {"contextSlot": context_slot}
    )


def signature_verification_failure() -> RpcFault:
    """At least one signature of the transaction does not verify."""
    return RpcFault(SIGNATURE_VERIFICATION_FAILURE, "Transaction signature verification failure")


def unsupported_version(version: int) -> RpcFault:
    """The caller did not declare support for this transaction version."""
    return RpcFault(
        UNSUPPORTED_TRANSACTION_VERSION,
        f"Transaction version ({version}) is not supported by the requesting client. Please try the request again "
        f'with the following configuration parameter: "maxSupportedTransactionVersion": {version}',
    )


def preflight_failure(err: Json, logs: list[str], units_consumed: int) -> RpcFault:
    """The simulation before sending failed; nothing was sent."""
    return RpcFault(
        PREFLIGHT_FAILURE,
        f"Transaction simulation failed: {describe(err)}",
        {
            "accounts": None,
            "err": err,
            "fee": None,
            "innerInstructions": None,
            "loadedAccountsDataSize": None,
            "logs": cast("Json", logs),
            "replacementBlockhash": None,
            "returnData": None,
            "unitsConsumed": units_consumed,
        },
    )


_TRANSACTION_TEXTS = {
    "AccountInUse": "Account in use",
    "AccountLoadedTwice": "Account loaded twice",
    "AccountNotFound": "Attempt to debit an account but found no record of a prior credit.",
    "AddressLookupTableNotFound": "Transaction loads an address table account that doesn't exist",
    "AlreadyProcessed": "This transaction has already been processed",
    "BlockhashNotFound": "Blockhash not found",
    "InsufficientFundsForFee": "Insufficient funds for fee",
    "InvalidAccountForFee": "This account may not be used to pay transaction fees",
    "InvalidAddressLookupTableData": "Transaction loads an address table account with invalid data",
    "InvalidAddressLookupTableIndex": "Transaction address table lookup uses an invalid index",
    "InvalidAddressLookupTableOwner": "Transaction loads an address table account with an invalid owner",
    "InvalidProgramForExecution": "This program may not be used for executing instructions",
    "InvalidRentPayingAccount": "Transaction leaves an account with a lower balance than rent-exempt minimum",
    "InvalidWritableAccount": "Transaction loads a writable account that cannot be written",
    "MaxLoadedAccountsDataSizeExceeded": "Transaction exceeded max loaded accounts data size cap",
    "ProgramAccountNotFound": "Attempt to load a program that does not exist",
    "SanitizeFailure": "Transaction failed to sanitize accounts offsets correctly",
    "SignatureFailure": "Transaction did not pass signature verification",
    "TooManyAccountLocks": "Transaction locked too many accounts",
    "UnbalancedTransaction": "Sum of account balances before and after transaction do not match",
    "UnsupportedVersion": "Transaction version is unsupported",
}

_INSTRUCTION_TEXTS = {
    "AccountAlreadyInitialized": "instruction requires an uninitialized account",
    "AccountBorrowFailed": "instruction tries to borrow reference for an account which is already borrowed",
    "AccountDataTooSmall": "account data too small for instruction",
    "AccountNotExecutable": "instruction expected an executable account",
    "ArithmeticOverflow": "Program arithmetic overflowed",
    "ComputationalBudgetExceeded": "Computational budget exceeded",
    "ExternalAccountDataModified": "instruction modified data of an account it does not own",
    "ExternalAccountLamportSpend": "instruction spent from the balance of an account it does not own",
    "GenericError": "generic instruction error",
    "IllegalOwner": "Provided owner is not allowed",
    "IncorrectProgramId": "incorrect program id for instruction",
    "InsufficientFunds": "insufficient funds for instruction",
    "InvalidAccountData": "invalid account data for instruction",
    "InvalidAccountOwner": "Invalid account owner",
    "InvalidArgument": "invalid program argument",
    "InvalidInstructionData": "invalid instruction data",
    "InvalidSeeds": "Provided seeds do not result in a valid address",
    "MissingAccount": "An account required by the instruction is missing",
    "MissingRequiredSignature": "missing required signature for instruction",
    "NotEnoughAccountKeys": "insufficient account keys for instruction",
    "PrivilegeEscalation": "Cross-program invocation with unauthorized signer or writable account",
    "ProgramFailedToComplete": "Program failed to complete",
    "ReadonlyDataModified": "instruction modified data of a read-only account",
    "ReadonlyLamportChange": "instruction changed the balance of a read-only account",
    "UnbalancedInstruction": "sum of account balances before and after instruction do not match",
    "UninitializedAccount": "instruction requires an initialized account",
    "UnsupportedProgramId": "Unsupported program id",
}


def describe(err: Json) -> str:
    """The sentence a node prints for a transaction error value; unknown names are given as they are."""
    if isinstance(err, str):
        return _TRANSACTION_TEXTS.get(err, err)
    if isinstance(err, dict):
        match err:
            case {"InstructionError": [int(index), inner]}:
                return f"Error processing Instruction {index}: {_describe_instruction(inner)}"
            case {"InsufficientFundsForRent": {"account_index": int(index)}}:
                return f"Transaction results in an account ({index}) with insufficient funds for rent"
            case {"DuplicateInstruction": int(index)}:
                return f"Transaction contains a duplicate instruction ({index}) that is not allowed"
            case _:
                return str(next(iter(err), "unknown error"))
    return str(err)


def _describe_instruction(inner: Json) -> str:
    match inner:
        case str(name):
            return _INSTRUCTION_TEXTS.get(name, name)
        case {"Custom": int(code)}:
            return f"custom program error: {code:#x}"
        case {"BorshIoError": detail}:
            return f"Failed to serialize or deserialize account data: {detail}"
        case _:
            return str(inner)
