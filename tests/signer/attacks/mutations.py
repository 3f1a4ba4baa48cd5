"""Ways to bend a message: every single byte, every cut, and the structured lies that an attacker would try first."""

import dataclasses
import itertools
import random
from collections.abc import Iterator

from solders.instruction import AccountMeta
from solders.instruction import Instruction as SoldersInstruction
from solders.pubkey import Pubkey
from solders.system_program import (
    AssignParams,
    CreateAccountParams,
    TransferParams,
    WithdrawNonceAccountParams,
    assign,
    create_account,
    transfer,
    withdraw_nonce_account,
)
from xorj_core.solana_message import Instruction, Lookup, Message, decode, serialise
from xorj_solana.programs import LOCAL_VAULT_PROGRAM
from xorj_solana.vault.building import discriminator

TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
ASSOCIATED_TOKEN = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
LOOKUP_TABLE = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")
LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
COMPUTE_BUDGET = Pubkey.from_string("ComputeBudget111111111111111111111111111111")
SECP256R1 = Pubkey.from_string("Secp256r1SigVerify1111111111111111111111111")
SYSTEM = Pubkey.default()


def drains(bot: bytes, thief: bytes) -> dict[str, SoldersInstruction]:
    """Top-level instructions by which a signer's key was robbed elsewhere; each with our key as the one who signs."""
    ours, theirs = Pubkey(bot), Pubkey(thief)
    signs = AccountMeta(ours, is_signer=True, is_writable=True)
    gets = AccountMeta(theirs, is_signer=False, is_writable=True)
    return {
        "system transfer": transfer(TransferParams(from_pubkey=ours, to_pubkey=theirs, lamports=1)),
        "system transfer of nothing": transfer(TransferParams(from_pubkey=ours, to_pubkey=theirs, lamports=0)),
        "system assign": assign(AssignParams(pubkey=ours, owner=theirs)),
        "system create account": create_account(
            CreateAccountParams(from_pubkey=ours, to_pubkey=theirs, lamports=10**9, space=0, owner=TOKEN)
        ),
        "nonce withdrawal": withdraw_nonce_account(
            WithdrawNonceAccountParams(nonce_pubkey=theirs, authorized_pubkey=ours, to_pubkey=theirs, lamports=1)
        ),
        "durable nonce advance": SoldersInstruction(SYSTEM, (4).to_bytes(4, "little"), [gets, signs]),
        "token transfer": SoldersInstruction(TOKEN, b"\x03" + bytes(8), [gets, gets, signs]),
        "token approve": SoldersInstruction(TOKEN, b"\x04" + bytes(8), [gets, gets, signs]),
        "token set authority": SoldersInstruction(TOKEN, b"\x06\x02\x01" + thief, [gets, signs]),
        "token close account": SoldersInstruction(TOKEN, b"\x09", [gets, gets, signs]),
        "associated token account": SoldersInstruction(ASSOCIATED_TOKEN, b"\x01", [signs, gets]),
        "lookup table close": SoldersInstruction(LOOKUP_TABLE, (4).to_bytes(4, "little"), [gets, signs, gets]),
        "program upgrade": SoldersInstruction(LOADER, (3).to_bytes(4, "little"), [gets, gets, gets, signs]),
        "program set authority": SoldersInstruction(LOADER, (4).to_bytes(4, "little"), [gets, signs, gets]),
        "heap frame": SoldersInstruction(COMPUTE_BUDGET, b"\x01" + (32_768).to_bytes(4, "little"), []),
        "second compute price": SoldersInstruction(COMPUTE_BUDGET, b"\x03" + bytes(8), []),
        "compute price with accounts": SoldersInstruction(COMPUTE_BUDGET, b"\x03" + bytes(8), [gets]),
        "foreign signature check": SoldersInstruction(SECP256R1, b"\0\0", []),
        "vault withdrawal": SoldersInstruction(LOCAL_VAULT_PROGRAM, discriminator("withdraw"), [gets, signs]),
        "vault without data": SoldersInstruction(LOCAL_VAULT_PROGRAM, b"", [gets]),
        "unknown program": SoldersInstruction(theirs, b"", []),
    }


def bytewise(data: bytes) -> Iterator[bytes]:
    """Every bit flipped, every cut, every byte left out or doubled."""
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
        yield data[:at]
        yield data[:at] + data[at + 1 :]
        yield data[: at + 1] + data[at:]
    yield data + b"\0"


def structured(data: bytes) -> Iterator[bytes]:
    """Swapped keys, moved instructions, other account indexes, other headers, other table entries."""
    message = decode(data)
    keys = message.static_keys
    for one, other in itertools.combinations(range(len(keys)), 2):
        swapped = list(keys)
        swapped[one], swapped[other] = keys[other], keys[one]
        yield serialise(dataclasses.replace(message, static_keys=tuple(swapped)))
    for number, instruction in enumerate(message.instructions):
        for changed in _instructions(instruction, len(keys)):
            parts = (*message.instructions[:number], changed, *message.instructions[number + 1 :])
            yield serialise(dataclasses.replace(message, instructions=parts))
        yield serialise(_with(message, (*message.instructions[:number], *message.instructions[number + 1 :])))
        yield serialise(_with(message, (*message.instructions, instruction)))
    for headers in itertools.product(range(3), range(3), range(6)):
        signers, readonly_signed, readonly = headers
        yield serialise(
            dataclasses.replace(
                message,
                required_signatures=signers,
                readonly_signed=readonly_signed,
                readonly_unsigned=readonly,
            )
        )
    for number, lookup in enumerate(message.lookups):
        for entry in range(256):
            for loaded in (Lookup(lookup.table, (entry,), ()), Lookup(lookup.table, (), (entry,))):
                lookups = (*message.lookups[:number], loaded, *message.lookups[number + 1 :])
                yield serialise(dataclasses.replace(message, lookups=lookups))


def _instructions(instruction: Instruction, keys: int) -> Iterator[Instruction]:
    for program in range(keys):
        yield dataclasses.replace(instruction, program_index=program)
    indexes = instruction.account_indexes
    for at in range(len(indexes)):
        for index in range(keys):
            yield dataclasses.replace(instruction, account_indexes=(*indexes[:at], index, *indexes[at + 1 :]))
        yield dataclasses.replace(instruction, account_indexes=indexes[:at] + indexes[at + 1 :])


def _with(message: Message, instructions: tuple[Instruction, ...]) -> Message:
    return dataclasses.replace(message, instructions=instructions)


def wild(data: bytes, numbers: random.Random, count: int) -> Iterator[bytes]:
    """`count` messages with a few random changes each: bytes set, parts cut, doubled, or moved."""
    for _ in range(count):
        bent = bytearray(data)
        for _ in range(numbers.randint(1, 4)):
            at = numbers.randrange(len(bent)) if bent else 0
            length = numbers.choice((1, 1, 1, 2, 4, 8, 32, 33))
            change = numbers.randrange(4)
            if change == 0:
                bent[at : at + length] = numbers.randbytes(length)
            elif change == 1:
                del bent[at : at + length]
            elif change == 2:
                bent[at:at] = bent[at : at + length]
            else:
                to = numbers.randrange(len(bent)) if bent else 0
                bent[to : to + length] = bent[at : at + length]
        yield bytes(bent)


def with_fee_payer(data: bytes, key: bytes) -> bytes:
    """The message with another fee payer; its other keys stay."""
    message = decode(data)
    return serialise(dataclasses.replace(message, static_keys=(key, *message.static_keys[1:])))
