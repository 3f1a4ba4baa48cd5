"""A program as the accounts that the upgradeable loader keeps, for a local chain's first state."""

from solders.account import Account
from solders.pubkey import Pubkey

from xorj_solana.programs import UPGRADEABLE_LOADER
from xorj_solana.vault.addresses import program_data_address


def deployment(
    program: Pubkey, elf: bytes, upgrade_authority: Pubkey | None, slot: int, lamports: int = 10_000_000_000
) -> tuple[tuple[Pubkey, Account], ...]:
    """Program data first, then the program, in the order in which to set them.

    `slot` is the slot of deployment: the chain runs the program from the next one on. `lamports` goes to each account.
    """
    place = program_data_address(program)
    authority = bytes([1]) + bytes(upgrade_authority) if upgrade_authority is not None else bytes(33)
    data = (3).to_bytes(4, "little") + slot.to_bytes(8, "little") + authority + elf
    code = Account(lamports, data, UPGRADEABLE_LOADER)
    head = Account(lamports, (2).to_bytes(4, "little") + bytes(place), UPGRADEABLE_LOADER, executable=True)
    return (place, code), (program, head)
