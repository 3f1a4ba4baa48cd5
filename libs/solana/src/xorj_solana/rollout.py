"""What deploying or upgrading a program takes, decided from what stands on chain already. Pure.

1. The buffer's address follows from its authority, the program and the bytes: it has no key of its own, and whoever
   runs the same deployment again, from whatever machine, finds what was written before.
2. A chunk is written only where the buffer differs from the program; zeroes need no writing.
3. Nothing is planned on a program that another key may upgrade, nobody may, or that was closed.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import (
    AllocateParams,
    AllocateWithSeedParams,
    AssignParams,
    AssignWithSeedParams,
    TransferParams,
    allocate,
    allocate_with_seed,
    assign,
    assign_with_seed,
    transfer,
)

from xorj_solana import loader
from xorj_solana.programs import SYSTEM, UPGRADEABLE_LOADER
from xorj_solana.rpc.results import Account
from xorj_solana.tokens import MalformedAccount


class NotDeployable(Exception):
    """What stands at the program's address forbids it; `code` says which of the reasons, in one word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Kind(Enum):
    """What there is to do."""

    NEW = "deploy"
    UPGRADE = "upgrade"
    STAGE = "stage"
    ALREADY = "already"


@dataclass(frozen=True, slots=True)
class Target:
    """What shall run where: `data_len_max` is the room asked for at a first deployment.

    `authority` writes the buffer. Where the program belongs to another `upgrade_authority`, a multisig, the buffer is
    filled and handed to that one, which then upgrades from it: the plan is to stage.
    """

    program: Pubkey
    elf: bytes
    authority: Pubkey
    upgrade_authority: Pubkey
    data_len_max: int

    @property
    def seed(self) -> str:
        """Makes the buffer's address of its authority's."""
        return hashlib.sha256(b"xorj buffer" + bytes(self.program) + hashlib.sha256(self.elf).digest()).hexdigest()[:32]

    @property
    def buffer(self) -> Pubkey:
        """Where the bytes are collected."""
        return Pubkey.create_with_seed(self.authority, self.seed, UPGRADEABLE_LOADER)

    @property
    def buffer_len(self) -> int:
        """Length of the buffer's account."""
        return loader.BUFFER_META_LEN + len(self.elf)


@dataclass(frozen=True, slots=True)
class Seen:
    """The three accounts as one answer showed them."""

    program: Account | None
    program_data: Account | None
    buffer: Account | None


@dataclass(frozen=True, slots=True)
class Rent:
    """Lamports that exempt accounts from rent: of a buffer, of a program, of its data as it will be, of a wallet."""

    buffer: int
    program: int
    data: int
    wallet: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is left to do. `missing` are the chunks (offset, bytes) that the buffer lacks.

    `deployed_slot` is that of the code that stands there now: it can be replaced from the next slot on.
    """

    kind: Kind
    deployed_slot: int
    buffer_ready: bool
    handed_over: bool
    buffer_lamports_missing: int
    program_lamports_missing: int
    missing: tuple[tuple[int, bytes], ...]
    data_len: int
    extend_by: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Lamports: what leaves the payer for good or as rent, and what it must hold to begin with."""

    fees: int
    rent_kept: int
    rent_returned: int
    needed_at_most: int

    @property
    def net(self) -> int:
        """What the payer has less afterwards; negative when rent of a buffer comes back."""
        return self.fees + self.rent_kept - self.rent_returned


def check_elf(elf: bytes) -> None:
    """Raises `NotDeployable` for bytes that no loader would take."""
    if elf[:4] != b"\x7fELF":
        raise NotDeployable("not_a_program", "the file is no ELF file")
    if len(elf) > loader.ACCOUNT_LEN_MAX - loader.PROGRAM_DATA_META_LEN:
        raise NotDeployable("too_long", f"{len(elf)} bytes are more than an account holds")


def kind_of(target: Target, seen: Seen) -> tuple[Kind, loader.ProgramData | None]:
    """What the program's accounts ask for, and its present data. Raises `NotDeployable`."""
    if seen.program is None or (seen.program.owner == SYSTEM and not seen.program.data):
        if target.authority != target.upgrade_authority:
            raise NotDeployable("not_deployed", "a first deployment is made by the authority's own key")
        if seen.program_data is not None:
            text = "somebody sent lamports to where the program's data would stand, which the loader refuses"
            raise NotDeployable("address_spoilt", f"{text}: take another program key")
        return Kind.NEW, None
    data = program_data(seen)
    if data.upgrade_authority is None:
        raise NotDeployable("immutable", "nobody may upgrade this program any more")
    if data.upgrade_authority != target.upgrade_authority:
        raise NotDeployable("not_upgrade_authority", f"only {data.upgrade_authority} may upgrade this program")
    if data.elf.startswith(target.elf) and not any(data.elf[len(target.elf) :]):
        return Kind.ALREADY, data
    return (Kind.UPGRADE if target.authority == target.upgrade_authority else Kind.STAGE), data


def program_data(seen: Seen) -> loader.ProgramData:
    """The data of a deployed program. Raises `NotDeployable` where there is none."""
    try:
        if seen.program is None or seen.program.owner != UPGRADEABLE_LOADER:
            raise NotDeployable("not_upgradeable", "no program of the upgradeable loader stands at that address")
        if not isinstance(loader.parse_state(seen.program.data), loader.Program):
            raise NotDeployable("not_a_program", "what stands at that address is no program")
        stored = seen.program_data
        state = None
        if stored is not None and stored.owner == UPGRADEABLE_LOADER:
            state = loader.parse_state(stored.data)
    except MalformedAccount as error:
        raise NotDeployable("malformed", str(error)) from error
    if not isinstance(state, loader.ProgramData):
        raise NotDeployable("closed", "the program was closed: its address can never be used again")
    return state


def plan(target: Target, seen: Seen, rent: Rent, chunk_len: int) -> Plan:
    """What is left to do from here. Raises `NotDeployable`."""
    kind, present = kind_of(target, seen)
    if kind is Kind.ALREADY and present is not None:
        return Plan(
            kind,
            deployed_slot=present.slot,
            buffer_ready=False,
            handed_over=False,
            buffer_lamports_missing=0,
            program_lamports_missing=0,
            missing=(),
            data_len=len(present.elf),
            extend_by=0,
        )
    room = target.data_len_max if present is None else len(present.elf)
    extend_by = 0
    if len(target.elf) > room:
        largest = loader.ACCOUNT_LEN_MAX - loader.PROGRAM_DATA_META_LEN - room
        extend_by = min(max(len(target.elf) - room, loader.EXTEND_LEN_MIN), largest)
    ready, handed_over, written = _buffer(target, seen.buffer)
    held = 0 if seen.buffer is None else seen.buffer.lamports
    missing = tuple(
        (at, chunk) for at, chunk in _chunks(target.elf, chunk_len) if written[at : at + len(chunk)] != chunk
    )
    slot = 0 if present is None else present.slot
    lacking = max(0, rent.buffer - held)
    if handed_over and missing:
        raise NotDeployable("foreign_buffer", f"buffer {target.buffer} was handed over before it was complete")
    program_lacking = max(0, rent.program - (0 if seen.program is None else seen.program.lamports))
    data_len = room + extend_by
    return Plan(kind, slot, ready, handed_over, lacking, program_lacking, missing, data_len, extend_by)


def _buffer(target: Target, stored: Account | None) -> tuple[bool, bool, bytes]:
    """Whether the buffer exists, whether it was handed over, its bytes, zeroes where none. Raises `NotDeployable`."""
    empty = bytes(len(target.elf))
    if stored is None or (stored.owner == SYSTEM and not stored.data):
        return False, False, empty
    try:
        state = loader.parse_state(stored.data) if stored.owner == UPGRADEABLE_LOADER else None
    except MalformedAccount as error:
        raise NotDeployable("malformed", f"buffer {target.buffer}: {error}") from error
    if not isinstance(state, loader.Buffer) or len(state.elf) != len(target.elf):
        raise NotDeployable("foreign_buffer", f"what stands at {target.buffer} is not this deployment's buffer")
    if state.authority not in (target.authority, target.upgrade_authority):
        raise NotDeployable("foreign_buffer", f"buffer {target.buffer} now belongs to {state.authority}")
    return True, state.authority != target.authority, state.elf


def _chunks(elf: bytes, chunk_len: int) -> Iterator[tuple[int, bytes]]:
    return ((at, elf[at : at + chunk_len]) for at in range(0, len(elf), chunk_len))


def cost(todo: Plan, seen: Seen, rent: Rent, fees: int) -> Cost:
    """What a plan costs its payer, whose account must stay exempt from rent. `fees` are those of all transactions."""
    if todo.kind is Kind.ALREADY:
        return Cost(0, 0, 0, 0)
    buffer_held = 0 if seen.buffer is None else seen.buffer.lamports
    returned = buffer_held + todo.buffer_lamports_missing
    data_held = 0 if seen.program_data is None else seen.program_data.lamports
    kept = max(0, rent.data - data_held) + todo.program_lamports_missing
    if todo.kind is Kind.NEW:
        deepest = todo.buffer_lamports_missing + max(todo.program_lamports_missing, kept - returned)
    else:
        deepest = todo.buffer_lamports_missing + kept
    if todo.kind is Kind.STAGE:
        returned = 0
    return Cost(fees, todo.buffer_lamports_missing + kept, returned, deepest + fees + rent.wallet)


def buffer_opening(target: Target, payer: Pubkey, lamports_missing: int) -> tuple[Instruction, ...]:
    """Makes the buffer, also where a stranger sent lamports to its address before; payer and authority sign."""
    made = (
        allocate_with_seed(
            AllocateWithSeedParams(
                address=target.buffer,
                base=target.authority,
                seed=target.seed,
                space=target.buffer_len,
                owner=UPGRADEABLE_LOADER,
            )
        ),
        assign_with_seed(
            AssignWithSeedParams(
                address=target.buffer, base=target.authority, seed=target.seed, owner=UPGRADEABLE_LOADER
            )
        ),
        loader.initialize_buffer(target.buffer, target.authority),
    )
    return _funded(payer, target.buffer, lamports_missing, made)


def program_opening(program: Pubkey, payer: Pubkey, lamports_missing: int) -> tuple[Instruction, ...]:
    """Makes the account that the loader turns into the program; payer and the program's key sign."""
    made = (
        allocate(AllocateParams(pubkey=program, space=loader.PROGRAM_LEN)),
        assign(AssignParams(pubkey=program, owner=UPGRADEABLE_LOADER)),
    )
    return _funded(payer, program, lamports_missing, made)


def _funded(payer: Pubkey, to: Pubkey, lamports: int, then: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
    if not lamports:
        return then
    return (transfer(TransferParams(from_pubkey=payer, to_pubkey=to, lamports=lamports)), *then)
