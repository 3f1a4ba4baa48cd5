"""The pools of the local chain: one for every pair of tokens, laid out as the pool program does, reserves from prices.

1. Addresses and account bytes are those that the program's own instructions would make.
2. Both reserves of a pool are worth the same at the tick they are computed for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from solders.pubkey import Pubkey
from xorj_solana.cpmm import (
    AMM_CONFIG_DISCRIMINATOR,
    AMM_CONFIG_LEN,
    POOL_DISCRIMINATOR,
    POOL_LEN,
    Pool,
    amm_config_address,
    authority_address,
    parse_pool,
    pool_address,
    pool_vault_address,
)
from xorj_solana.programs import SPL_TOKEN

from xorj_localnet.market.accounts import PlacedAccount, rent_lamports, token_account
from xorj_localnet.market.scenario import Scenario
from xorj_localnet.market.tokens import PICO, Token, value_in_base_units

DEPTH_PICO_USD = 20_000_000 * 10**PICO
"""Value of each side of a pool: a trade of 1,000 USD moves the price by a hundredth of a percent."""
FEE_RATE_PPM = 1_000
"""Trading fee, in millionths of the input."""
AMM_CONFIG_INDEX = 0
OBSERVATION_BYTES = 32


@dataclass(frozen=True, slots=True)
class MarketPool:
    """One pool and its tokens, in the order of the pool's sides."""

    pool: Pool
    state: bytes
    tokens: tuple[Token, Token]

    @property
    def vaults(self) -> tuple[Pubkey, Pubkey]:
        """The pool's two token accounts."""
        return self.pool.side_0.vault, self.pool.side_1.vault

    def holds(self, mint: str, other: str) -> bool:
        """Whether this is the pool of these two mints."""
        return {mint, other} == {token.mint for token in self.tokens}


def pools_of(tokens: Sequence[Token], program: Pubkey) -> tuple[MarketPool, ...]:
    """A pool for every pair."""
    return tuple(pool_of(one, other, program) for one, other in combinations(tokens, 2))


def pool_of(one: Token, other: Token, program: Pubkey) -> MarketPool:
    """The pool of two tokens, in either order."""
    low, high = sorted((one, other), key=lambda token: bytes(Pubkey.from_string(token.mint)))
    mints = [Pubkey.from_string(token.mint) for token in (low, high)]
    amm_config = amm_config_address(program, AMM_CONFIG_INDEX)
    address = pool_address(program, amm_config, *mints)
    keys = {
        8: amm_config,
        72: pool_vault_address(program, address, mints[0]),
        104: pool_vault_address(program, address, mints[1]),
        168: mints[0],
        200: mints[1],
        232: SPL_TOKEN,
        264: SPL_TOKEN,
        296: _derive(program, b"observation", bytes(address))[0],
    }
    data = bytearray(POOL_LEN)
    data[:8] = POOL_DISCRIMINATOR
    for place, key in keys.items():
        data[place : place + 32] = bytes(key)
    data[328] = _derive(program, b"vault_and_lp_mint_auth_seed")[1]
    data[331], data[332] = low.decimals, high.decimals
    return MarketPool(parse_pool(address, program, bytes(data)), bytes(data), (low, high))


def reserves_at(pool: MarketPool, scenario: Scenario, tick: int) -> tuple[int, int]:
    """Base units of each side, so that the pool's price is the market's at `tick`."""
    low, high = (
        value_in_base_units(DEPTH_PICO_USD, scenario.price_pico_usd(token.mint, tick), token.decimals)
        for token in pool.tokens
    )
    return low, high


def vault_accounts(pool: MarketPool, reserves: tuple[int, int]) -> list[PlacedAccount]:
    """The pool's two token accounts holding these reserves."""
    authority = authority_address(pool.pool.program)
    sides = (pool.pool.side_0, pool.pool.side_1)
    return [
        token_account(side.vault, side.mint, authority, amount) for side, amount in zip(sides, reserves, strict=True)
    ]


def pool_accounts(pools: Sequence[MarketPool], scenario: Scenario, tick: int) -> list[PlacedAccount]:
    """Every account of the pools: fee configuration, states, observations and token accounts."""
    placed: list[PlacedAccount] = []
    for market_pool in pools:
        pool = market_pool.pool
        placed.append(_owned(pool.address, market_pool.state, pool.program))
        placed.append(_owned(pool.observation, bytes(OBSERVATION_BYTES), pool.program))
        placed.extend(vault_accounts(market_pool, reserves_at(market_pool, scenario, tick)))
    for program in {pool.pool.program for pool in pools}:
        placed.append(_owned(amm_config_address(program, AMM_CONFIG_INDEX), _amm_config(program), program))
    return placed


def _amm_config(program: Pubkey) -> bytes:
    data = bytearray(AMM_CONFIG_LEN)
    data[:8] = AMM_CONFIG_DISCRIMINATOR
    data[8] = _derive(program, b"amm_config", AMM_CONFIG_INDEX.to_bytes(2, "big"))[1]
    data[10:12] = AMM_CONFIG_INDEX.to_bytes(2, "little")
    data[12:20] = FEE_RATE_PPM.to_bytes(8, "little")
    return bytes(data)


def _owned(address: Pubkey, data: bytes, program: Pubkey) -> PlacedAccount:
    return PlacedAccount(address, rent_lamports(len(data)), program, data)


def _derive(program: Pubkey, *seeds: bytes) -> tuple[Pubkey, int]:
    return Pubkey.find_program_address(list(seeds), program)
