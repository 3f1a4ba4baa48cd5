"""Builds what the hostile swap program (infra/programs/rogue) is told to do.

A script is a list of acts; each names accounts by key, and the finished instruction lists every key once. Privileges
that nobody granted are left in on purpose: the runtime is to refuse them, not this module.
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from xorj_solana.deploy import deployment
from xorj_solana.programs import SPL_TOKEN
from xorj_solana.vault import MintPlaces

from tests.programs.svm_world import SLOT, World, account_of, labelled

SO: Final = Path(__file__).resolve().parents[2] / "infra" / "programs" / "rogue" / "built" / "rogue.so"
ROGUE: Final = Pubkey(labelled("rogue swap program"))
RESERVE, BUMP = Pubkey.find_program_address([b"rogue"], ROGUE)
THIEF: Final = Pubkey(labelled("thief"))


@dataclass(slots=True)
class Script:
    """Acts in order. `signers`: whose signature the caller is asked for, the trade authority's as a rule."""

    acts: bytearray = field(default_factory=bytearray)
    keys: list[Pubkey] = field(default_factory=list)
    signers: set[Pubkey] = field(default_factory=set)
    writable: set[Pubkey] = field(default_factory=set)

    def place(self, key: Pubkey, *, writable: bool = True) -> int:
        if key not in self.keys:
            self.keys.append(key)
        if writable:
            self.writable.add(key)
        return self.keys.index(key)

    def call(self, instruction: Instruction, *, as_signers: bool = True) -> Self:
        """Calls another program; every signer that it wants is asked for unless `as_signers` is False."""
        places = b"".join(
            bytes(
                [
                    self.place(meta.pubkey, writable=meta.is_writable),
                    (meta.is_signer and as_signers) | meta.is_writable << 1,
                ]
            )
            for meta in instruction.accounts
        )
        head = bytes([0, self.place(instruction.program_id, writable=False), len(instruction.accounts)])
        self.acts += head + places + struct.pack("<H", len(instruction.data)) + instruction.data
        return self

    def move_lamports(self, source: Pubkey, target: Pubkey, lamports: int) -> Self:
        self.acts += struct.pack("<BBBQ", 1, self.place(source), self.place(target), lamports)
        return self

    def write(self, account: Pubkey, offset: int, data: bytes) -> Self:
        self.acts += struct.pack("<BBHH", 2, self.place(account), offset, len(data)) + data
        return self

    def resize(self, account: Pubkey, length: int) -> Self:
        self.acts += struct.pack("<BBQ", 3, self.place(account), length)
        return self

    def assign(self, account: Pubkey, owner: Pubkey) -> Self:
        self.acts += struct.pack("<BB", 4, self.place(account)) + bytes(owner)
        return self

    def log_event(self, data: bytes) -> Self:
        self.acts += struct.pack("<BH", 5, len(data)) + data
        return self

    def fail(self, code: int) -> Self:
        self.acts += struct.pack("<BQ", 6, code)
        return self

    def never_end(self) -> Self:
        self.acts += b"\x07"
        return self

    def token(
        self,
        data: bytes,
        *accounts: Pubkey,
        authority: Pubkey,
        program: Pubkey = SPL_TOKEN,
        extra: Pubkey | None = None,
    ) -> Self:
        """A token instruction whose authority stands last, all its other accounts writable."""
        metas = [AccountMeta(key, is_signer=False, is_writable=True) for key in accounts]
        metas.append(AccountMeta(authority, is_signer=True, is_writable=False))
        return self.call(Instruction(program, data, metas))

    def transfer(
        self, source: Pubkey, target: Pubkey, amount: int, *, authority: Pubkey, program: Pubkey = SPL_TOKEN
    ) -> Self:
        return self.token(struct.pack("<BQ", 3, amount), source, target, authority=authority, program=program)

    def build(self, program: Pubkey = ROGUE, *, bump: int = BUMP) -> Instruction:
        """An account is writable when any act wants it so, signs when it is named in `signers`."""
        metas = [AccountMeta(key, key in self.signers, key in self.writable) for key in self.keys]
        return Instruction(program, bytes([bump]) + bytes(self.acts), metas)


def set_up(world: World, program: Pubkey = ROGUE) -> None:
    """Puts the program on the chain with reserves of both mints; whether it may swap is the configuration's matter."""
    for address, account in deployment(program, SO.read_bytes(), world.upgrade_authority.pubkey(), SLOT - 1):
        world.svm.set_account(address, account)
    world.svm.set_account(THIEF, Account(10**9, b"", Pubkey.default()))
    for place in (world.place_in, world.place_out):
        world.fund(RESERVE, place, 10**15)
        world.fund(THIEF, place, 0)


def exchange(world: World, taken: int, given: int, script: Script | None = None) -> Script:
    """Takes from the trade authority's hand and gives to the other, at whatever price."""
    script = script or Script()
    authority = world.trade_authority
    if taken:
        take = (account_of(authority, world.place_in), account_of(RESERVE, world.place_in))
        transfer_checked(script, *take, world.place_in, taken, 6, authority)
    if given:
        give = (account_of(RESERVE, world.place_out), account_of(authority, world.place_out))
        transfer_checked(script, *give, world.place_out, given, 9, RESERVE)
    return script


def transfer_checked(
    script: Script, source: Pubkey, target: Pubkey, place: MintPlaces, amount: int, decimals: int, authority: Pubkey
) -> Script:
    """The one transfer that every kind of mint takes."""
    metas = [
        AccountMeta(source, is_signer=False, is_writable=True),
        AccountMeta(place.mint, is_signer=False, is_writable=False),
        AccountMeta(target, is_signer=False, is_writable=True),
        AccountMeta(authority, is_signer=True, is_writable=False),
    ]
    return script.call(Instruction(place.token_program, struct.pack("<BQB", 12, amount, decimals), metas))
