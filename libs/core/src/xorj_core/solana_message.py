"""Reads Solana v0 messages strictly, so that what is judged is exactly what would be signed.

1. Only version 0 is read; another prefix, a trailing byte, an index out of range or a second spelling of a length is
   refused.
2. `serialise(decode(bytes)) == bytes`, checked on every decode.
3. Writable lookups of all tables come before read-only ones, as the runtime loads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

VERSION_0 = 0x80
KEY_LEN = 32
MESSAGE_BYTES_MAX = 1_167
"""A packet holds 1,232 bytes; one signature with its count takes 65 of them."""

_ACCOUNTS_MAX = 256


class MalformedMessage(ValueError):
    """The bytes are no v0 message that may be judged; the text says why."""


class OtherVersion(MalformedMessage):
    """A message of another version than 0; what its bytes would mean to a validator is not known here."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One top-level instruction; indexes are into the account list of the whole message."""

    program_index: int
    account_indexes: tuple[int, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Lookup:
    """The entries of one lookup table that a message loads."""

    table: bytes
    writable_indexes: tuple[int, ...]
    readonly_indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A v0 message as it stands in the bytes."""

    required_signatures: int
    readonly_signed: int
    readonly_unsigned: int
    static_keys: tuple[bytes, ...]
    blockhash: bytes
    instructions: tuple[Instruction, ...]
    lookups: tuple[Lookup, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a message with the privileges that the runtime gives it."""

    key: bytes
    signer: bool
    writable: bool


class _Reader:
    """A cursor that never reads past the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise MalformedMessage(f"ends within a field at byte {self._at}")
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def length(self) -> int:
        """A compact-u16 in its shortest form."""
        value = 0
        for position in range(3):
            byte = self.byte()
            if byte == 0 and position:
                raise MalformedMessage("a length is not in its shortest form")
            value |= (byte & 0x7F) << (7 * position)
            if not byte & 0x80:
                if value > 0xFFFF:
                    raise MalformedMessage("a length exceeds 16 bits")
                return value
        raise MalformedMessage("a length has more than three bytes")

    def vector(self) -> bytes:
        return self.take(self.length())

    def finish(self) -> None:
        if self._at != len(self._data):
            raise MalformedMessage(f"{len(self._data) - self._at} bytes after the end")


def decode(data: bytes) -> Message:
    """The message in `data`; raises `MalformedMessage`."""
    if len(data) > MESSAGE_BYTES_MAX:
        raise MalformedMessage(f"{len(data)} bytes, at most {MESSAGE_BYTES_MAX}")
    reader = _Reader(data)
    prefix = reader.byte()
    if prefix != VERSION_0:
        version = f"version {prefix & 0x7F}" if prefix & 0x80 else "a legacy message"
        raise OtherVersion(f"{version}: only version 0 is signed")
    header = reader.take(3)
    keys = tuple(reader.take(KEY_LEN) for _ in range(reader.length()))
    blockhash = reader.take(KEY_LEN)
    instructions = tuple(
        Instruction(reader.byte(), tuple(reader.vector()), reader.vector()) for _ in range(reader.length())
    )
    lookups = tuple(
        Lookup(reader.take(KEY_LEN), tuple(reader.vector()), tuple(reader.vector())) for _ in range(reader.length())
    )
    reader.finish()
    message = Message(header[0], header[1], header[2], keys, blockhash, instructions, lookups)
    _check(message)
    if serialise(message) != data:
        raise MalformedMessage("does not serialise to the same bytes")
    return message


def serialise(message: Message) -> bytes:
    """The one byte form of a message."""
    parts = [bytes((VERSION_0, message.required_signatures, message.readonly_signed, message.readonly_unsigned))]
    parts += [_length(len(message.static_keys)), *message.static_keys, message.blockhash]
    parts.append(_length(len(message.instructions)))
    for instruction in message.instructions:
        parts += [bytes((instruction.program_index,)), _vector(bytes(instruction.account_indexes))]
        parts.append(_vector(instruction.data))
    parts.append(_length(len(message.lookups)))
    for lookup in message.lookups:
        parts += [lookup.table, _vector(bytes(lookup.writable_indexes)), _vector(bytes(lookup.readonly_indexes))]
    return b"".join(parts)


def resolve(message: Message, tables: Mapping[bytes, tuple[bytes, ...]]) -> tuple[Account, ...]:
    """Every account of the message, lookups taken from `tables`, with the privileges of the runtime.

    Raises `MalformedMessage` for an unknown table, an index outside it, or an account that would be loaded twice.
    """
    signers, static = message.required_signatures, message.static_keys
    called = {static[instruction.program_index] for instruction in message.instructions}
    accounts = []
    for index, key in enumerate(static):
        if index < signers:
            asked = index < signers - message.readonly_signed
        else:
            asked = index < len(static) - message.readonly_unsigned
        # The runtime takes the write privilege from programs that the message calls.
        accounts.append(Account(key, signer=index < signers, writable=asked and key not in called))
    for lookup in message.lookups:
        loaded = (_entry(tables, lookup.table, index) for index in lookup.writable_indexes)
        accounts += [Account(key, signer=False, writable=True) for key in loaded]
    for lookup in message.lookups:
        loaded = (_entry(tables, lookup.table, index) for index in lookup.readonly_indexes)
        accounts += [Account(key, signer=False, writable=False) for key in loaded]
    if len({account.key for account in accounts}) != len(accounts):
        raise MalformedMessage("an account is loaded twice")
    return tuple(accounts)


def _entry(tables: Mapping[bytes, tuple[bytes, ...]], table: bytes, index: int) -> bytes:
    addresses = tables.get(table)
    if addresses is None:
        raise MalformedMessage(f"lookup table {table.hex()} is not in the plan")
    if index >= len(addresses) or len(addresses[index]) != KEY_LEN:
        raise MalformedMessage(f"lookup table {table.hex()} has no entry {index}")
    return addresses[index]


def _check(message: Message) -> None:
    """What the runtime's own sanitising refuses, and what is lawful there but never ours."""
    static = len(message.static_keys)
    if not 1 <= message.required_signatures <= static or message.readonly_signed >= message.required_signatures:
        raise MalformedMessage("the header does not leave a writable fee payer")
    if message.required_signatures + message.readonly_unsigned > static:
        raise MalformedMessage("the header counts more keys than there are")
    if len(set(message.static_keys)) != static:
        raise MalformedMessage("a key is listed twice")
    if len({lookup.table for lookup in message.lookups}) != len(message.lookups):
        raise MalformedMessage("a lookup table is listed twice")
    total = static
    for lookup in message.lookups:
        loaded = len(lookup.writable_indexes) + len(lookup.readonly_indexes)
        if not loaded:
            raise MalformedMessage("a lookup table is named and nothing loaded from it")
        total += loaded
    if total > _ACCOUNTS_MAX:
        raise MalformedMessage(f"{total} accounts, at most {_ACCOUNTS_MAX}")
    for instruction in message.instructions:
        if not 1 <= instruction.program_index < static:
            raise MalformedMessage("a program is the fee payer or comes from a lookup table")
        if any(index >= total for index in instruction.account_indexes):
            raise MalformedMessage("an instruction names an account that is not there")


def _length(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _vector(data: bytes) -> bytes:
    return _length(len(data)) + data
