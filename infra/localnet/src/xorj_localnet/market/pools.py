"""The pools of the local chain: one for every pair of tokens, laid out as the pool program does, reserves from prices.

1. Addresses and account bytes are those that the program's own instructions would make.
2. Both reserves of a pool are worth the same at the tick they are computed for.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from solders.pubkey import Pubkey

from xorj_localnet.market.accounts import TOKEN_PROGRAM, PlacedAccount, rent_lamports, token_account
from xorj_localnet.market.scenario import Scenario
from xorj_localnet.market.tokens import PICO, Token, value_in_base_units

DEPTH_PICO_USD = 20_000_000 * 10**PICO
"""Value of each side of a pool: a trade of 1,000 USD moves the price by a hundredth of a percent."""
FEE_RATE_PPM = 1_000
"""Trading fee, in millionths of the input."""
AMM_CONFIG_INDEX = 0

AMM_CONFIG_BYTES, POOL_STATE_BYTES = 236, 637
_KEY = 32


@dataclass(frozen=True, slots=True)
class Pool:
    """Addresses and tokens of one pool; mint 0 has the smaller address."""

    program: Pubkey
    address: Pubkey
    amm_config: Pubkey
    authority: Pubkey
    observation: Pubkey
    tokens: tuple[Token, Token]
    mints: tuple[Pubkey, Pubkey]
    vaults: tuple[Pubkey, Pubkey]

    def side_of(self, mint: str) -> int | None:
        """0 or 1 for a mint of this pool, None for another."""
        return next((side for side in (0, 1) if self.tokens[side].mint == mint), None)


def pools_of(tokens: Sequence[Token], program: Pubkey) -> tuple[Pool, ...]:
    """A pool for every pair."""
    return tuple(pool_of(one, other, program) for one, other in combinations(tokens, 2))


def pool_of(one: Token, other: Token, program: Pubkey) -> Pool:
    """The pool of two tokens, in either order."""
    low, high = sorted((one, other), key=lambda token: bytes(Pubkey.from_string(token.mint)))
    mints = (Pubkey.from_string(low.mint), Pubkey.from_string(high.mint))
    amm_config = _derive(program, b"amm_config", AMM_CONFIG_INDEX.to_bytes(2, "big"))
    address = _derive(program, b"pool", bytes(amm_config), bytes(mints[0]), bytes(mints[1]))
    return Pool(
        program=program,
        address=address,
        amm_config=amm_config,
        authority=_derive(program, b"vault_and_lp_mint_auth_seed"),
        observation=_derive(program, b"observation", bytes(address)),
        tokens=(low, high),
        mints=mints,
        vaults=(
            _derive(program, b"pool_vault", bytes(address), bytes(mints[0])),
            _derive(program, b"pool_vault", bytes(address), bytes(mints[1])),
        ),
    )


def reserves_at(pool: Pool, scenario: Scenario, tick: int) -> tuple[int, int]:
    """Base units of each side, so that the pool's price is the market's at `tick`."""
    low, high = (
        value_in_base_units(DEPTH_PICO_USD, scenario.price_pico_usd(token.mint, tick), token.decimals)
        for token in pool.tokens
    )
    return low, high


def vault_accounts(pool: Pool, reserves: tuple[int, int]) -> tuple[PlacedAccount, PlacedAccount]:
    """The pool's two token accounts holding these reserves."""
    low, high = (
        token_account(vault, mint, pool.authority, amount)
        for vault, mint, amount in zip(pool.vaults, pool.mints, reserves, strict=True)
    )
    return low, high


def pool_accounts(pools: Sequence[Pool], scenario: Scenario, tick: int) -> list[PlacedAccount]:
    """Every account of the pools: configuration, states, observations and token accounts."""
    placed: list[PlacedAccount] = []
    for pool in pools:
        placed.append(_owned(pool.address, _pool_state(pool), pool.program))
        placed.append(_owned(pool.observation, bytes(_KEY), pool.program))
        placed.extend(vault_accounts(pool, reserves_at(pool, scenario, tick)))
    if pools:
        placed.append(_owned(pools[0].amm_config, _amm_config(pools[0]), pools[0].program))
    return placed


def _amm_config(pool: Pool) -> bytes:
    data = bytearray(AMM_CONFIG_BYTES)
    data[:8] = _discriminator("AmmConfig")
    data[8] = Pubkey.find_program_address([b"amm_config", AMM_CONFIG_INDEX.to_bytes(2, "big")], pool.program)[1]
    data[10:12] = AMM_CONFIG_INDEX.to_bytes(2, "little")
    data[12:20] = FEE_RATE_PPM.to_bytes(8, "little")
    return bytes(data)


def _pool_state(pool: Pool) -> bytes:
    data = bytearray(POOL_STATE_BYTES)
    data[:8] = _discriminator("PoolState")
    places = {
        8: pool.amm_config,
        72: pool.vaults[0],
        104: pool.vaults[1],
        168: pool.mints[0],
        200: pool.mints[1],
        232: TOKEN_PROGRAM,
        264: TOKEN_PROGRAM,
        296: pool.observation,
    }
    for place, key in places.items():
        data[place : place + _KEY] = bytes(key)
    data[328] = Pubkey.find_program_address([b"vault_and_lp_mint_auth_seed"], pool.program)[1]
    data[331], data[332] = pool.tokens[0].decimals, pool.tokens[1].decimals
    return bytes(data)


def _owned(address: Pubkey, data: bytes, program: Pubkey) -> PlacedAccount:
    return PlacedAccount(address, rent_lamports(len(data)), program, data)


def _discriminator(account: str) -> bytes:
    return hashlib.sha256(f"account:{account}".encode()).digest()[:8]


def _derive(program: Pubkey, *seeds: bytes) -> Pubkey:
    return Pubkey.find_program_address(list(seeds), program)[0]
