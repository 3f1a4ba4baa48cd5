"""Raydium CPMM: exact quotes, the swap instruction, pool parsing; opening a pool on a local chain.

1. Integer arithmetic only, rounded against the trader as the program rounds.
2. Reserves are the vaults' balances less the fees that the pool owes others.
"""

import hashlib
import struct
from dataclasses import dataclass
from typing import Final

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from xorj_solana.programs import SPL_TOKEN, SYSTEM
from xorj_solana.tokens import MalformedAccount, associated_token_address

FEE_RATE_ONE_PPM: Final = 1_000_000
POOL_LEN: Final = 637
POOL_DISCRIMINATOR: Final = hashlib.sha256(b"account:PoolState").digest()[:8]
AMM_CONFIG_LEN: Final = 236
AMM_CONFIG_DISCRIMINATOR: Final = hashlib.sha256(b"account:AmmConfig").digest()[:8]


class NoQuote(ValueError):
    """The pool cannot give anything for this input."""


@dataclass(frozen=True, slots=True)
class PoolSide:
    """One token of a pool; `owed` base units in the vault belong to fee receivers, not to the reserve."""

    mint: Pubkey
    vault: Pubkey
    token_program: Pubkey
    decimals: int
    owed: int


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool's accounts; `side_0.mint` sorts before `side_1.mint`."""

    address: Pubkey
    program: Pubkey
    amm_config: Pubkey
    observation: Pubkey
    side_0: PoolSide
    side_1: PoolSide

    def sides(self, mint_in: Pubkey) -> tuple[PoolSide, PoolSide]:
        """(side paid in, side paid out); raises `NoQuote` when the pool does not hold `mint_in`."""
        if mint_in == self.side_0.mint:
            return self.side_0, self.side_1
        if mint_in == self.side_1.mint:
            return self.side_1, self.side_0
        raise NoQuote(f"pool {self.address} does not hold {mint_in}")


def swap_base_input_out(reserve_in: int, reserve_out: int, amount_in: int, fee_rate_ppm: int) -> int:
    """Base units out for `amount_in` base units; raises `NoQuote` when that would be nothing.

    fee = ceil(in x rate / 1e6); out = reserve_out - ceil(reserve_in x reserve_out / (reserve_in + in - fee)).
    """
    if reserve_in <= 0 or reserve_out <= 0 or amount_in <= 0 or not 0 <= fee_rate_ppm < FEE_RATE_ONE_PPM:
        raise NoQuote("reserves and input must be positive, the fee rate below one")
    net = amount_in - _ceil_div(amount_in * fee_rate_ppm, FEE_RATE_ONE_PPM)
    out = reserve_out - _ceil_div(reserve_in * reserve_out, reserve_in + net)
    if out <= 0:
        raise NoQuote("the output rounds to nothing")
    return out


def parse_pool(address: Pubkey, program: Pubkey, data: bytes) -> Pool:
    """Raises `MalformedAccount`."""
    if len(data) != POOL_LEN or data[:8] != POOL_DISCRIMINATOR:
        raise MalformedAccount(f"{address} is not a CPMM pool")

    def key(index: int) -> Pubkey:
        return Pubkey(data[8 + 32 * index : 40 + 32 * index])

    protocol_0, protocol_1, fund_0, fund_1 = struct.unpack_from("<4Q", data, 341)
    return Pool(
        address=address,
        program=program,
        amm_config=key(0),
        observation=key(9),
        side_0=PoolSide(key(5), key(2), key(7), data[331], protocol_0 + fund_0),
        side_1=PoolSide(key(6), key(3), key(8), data[332], protocol_1 + fund_1),
    )


def parse_fee_rate_ppm(data: bytes) -> int:
    """The trade fee of an AmmConfig account, in millionths of the input; raises `MalformedAccount`."""
    if len(data) != AMM_CONFIG_LEN or data[:8] != AMM_CONFIG_DISCRIMINATOR:
        raise MalformedAccount("not a CPMM fee configuration")
    return int.from_bytes(data[12:20], "little")


def swap_base_input(
    pool: Pool,
    *,
    payer: Pubkey,
    input_account: Pubkey,
    output_account: Pubkey,
    mint_in: Pubkey,
    amount_in: int,
    minimum_amount_out: int,
) -> Instruction:
    """Exact input; `payer` signs as the input account's owner. Amounts in base units."""
    paid, bought = pool.sides(mint_in)
    accounts = [
        AccountMeta(payer, is_signer=True, is_writable=False),
        _readonly(authority_address(pool.program)),
        _readonly(pool.amm_config),
        _writable(pool.address),
        _writable(input_account),
        _writable(output_account),
        _writable(paid.vault),
        _writable(bought.vault),
        _readonly(paid.token_program),
        _readonly(bought.token_program),
        _readonly(paid.mint),
        _readonly(bought.mint),
        _writable(pool.observation),
    ]
    data = _discriminator("swap_base_input") + struct.pack("<QQ", amount_in, minimum_amount_out)
    return Instruction(pool.program, data, accounts)


def authority_address(program: Pubkey) -> Pubkey:
    return Pubkey.find_program_address([b"vault_and_lp_mint_auth_seed"], program)[0]


def amm_config_address(program: Pubkey, index: int) -> Pubkey:
    return Pubkey.find_program_address([b"amm_config", struct.pack(">H", index)], program)[0]


def pool_address(program: Pubkey, amm_config: Pubkey, mint_a: Pubkey, mint_b: Pubkey) -> Pubkey:
    """Of the pool over both mints, in either order."""
    mints = sorted((bytes(mint_a), bytes(mint_b)))
    return Pubkey.find_program_address([b"pool", bytes(amm_config), *mints], program)[0]


def pool_vault_address(program: Pubkey, pool: Pubkey, mint: Pubkey) -> Pubkey:
    return Pubkey.find_program_address([b"pool_vault", bytes(pool), bytes(mint)], program)[0]


def create_amm_config(program: Pubkey, *, payer: Pubkey, index: int, fee_rate_ppm: int) -> Instruction:
    """Opens a fee tier on a local chain; `payer` signs."""
    accounts = [
        AccountMeta(payer, is_signer=True, is_writable=True),
        _writable(amm_config_address(program, index)),
        _readonly(SYSTEM),
    ]
    data = _discriminator("create_amm_config") + struct.pack("<HQ", index, fee_rate_ppm)
    return Instruction(program, data, accounts)


@dataclass(frozen=True, slots=True)
class Liquidity:
    """What a new pool starts with of one mint, in base units."""

    mint: Pubkey
    amount: int
    token_program: Pubkey = SPL_TOKEN


def initialize_pool(
    program: Pubkey, *, creator: Pubkey, amm_config: Pubkey, first: Liquidity, second: Liquidity
) -> Instruction:
    """Opens a pool on a local chain from the creator's associated token accounts; the creator signs."""
    sides = sorted((first, second), key=lambda side: bytes(side.mint))
    pool = pool_address(program, amm_config, first.mint, second.mint)
    accounts = [
        AccountMeta(creator, is_signer=True, is_writable=True),
        _readonly(authority_address(program)),
        _readonly(amm_config),
        _writable(pool),
        *(_writable(pool_vault_address(program, pool, side.mint)) for side in sides),
        *(_readonly(side.mint) for side in sides),
        *(_readonly(side.token_program) for side in sides),
        *(_writable(associated_token_address(creator, side.mint, side.token_program)) for side in sides),
        _readonly(SYSTEM),
    ]
    data = _discriminator("initialize") + struct.pack("<QQ", *(side.amount for side in sides))
    return Instruction(program, data, accounts)


def _discriminator(name: str) -> bytes:
    return hashlib.sha256(f"global:{name}".encode()).digest()[:8]


def _ceil_div(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def _writable(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=True)


def _readonly(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=False)
