"""Program-derived addresses of the vault program."""

from solders.pubkey import Pubkey

from xorj_solana.programs import UPGRADEABLE_LOADER


def config_address(program: Pubkey) -> Pubkey:
    return Pubkey.find_program_address([b"config"], program)[0]


def vault_address(program: Pubkey, owner: Pubkey) -> Pubkey:
    return Pubkey.find_program_address([b"vault", bytes(owner)], program)[0]


def trade_authority_address(program: Pubkey, vault: Pubkey) -> Pubkey:
    """Signs a vault's swaps; its token accounts are empty between trades."""
    return Pubkey.find_program_address([b"trade-authority", bytes(vault)], program)[0]


def program_data_address(program: Pubkey) -> Pubkey:
    """Where the loader keeps an upgradeable program's code and upgrade authority."""
    return Pubkey.find_program_address([bytes(program)], UPGRADEABLE_LOADER)[0]
