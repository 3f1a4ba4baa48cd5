"""What a swap through a local pool gives, and its instruction: exact, from the pool's reserves on the chain.

1. The quoted output is what the pool program pays for this input at these reserves.
2. The least output is the quote after slippage, rounded up.
"""

from dataclasses import dataclass
from decimal import Decimal

from solders.instruction import Instruction
from solders.pubkey import Pubkey
from xorj_solana.cpmm import swap_base_input, swap_base_input_out
from xorj_solana.programs import SPL_TOKEN
from xorj_solana.tokens import associated_token_address

from xorj_localnet.market.pools import MarketPool
from xorj_localnet.market.prices import BPS

PRICE_IMPACT_PLACES = Decimal("0.0000000001")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a taker wants; amounts in base units of the input mint."""

    mint_in: Pubkey
    mint_out: Pubkey
    amount_in: int
    taker: Pubkey
    slippage_bps: int
    destination: Pubkey | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """What one pool gives for a wish, in base units of the output mint."""

    pool: MarketPool
    wish: Wish
    amount_out: int
    amount_out_min: int
    price_impact: Decimal


def quote(pool: MarketPool, wish: Wish, reserves: tuple[int, int], fee_rate_ppm: int) -> Quote:
    """The pool's answer at these reserves (in the order of its sides). Raises NoQuote."""
    paid, _ = pool.pool.sides(wish.mint_in)
    reserve_in, reserve_out = reserves if paid == pool.pool.side_0 else reserves[::-1]
    out = swap_base_input_out(reserve_in, reserve_out, wish.amount_in, fee_rate_ppm)
    least = -(-out * (BPS - wish.slippage_bps) // BPS)
    at_spot = Decimal(wish.amount_in) * reserve_out / reserve_in
    impact = (1 - Decimal(out) / at_spot).quantize(PRICE_IMPACT_PLACES)
    return Quote(pool, wish, out, least, impact)


def swap_instruction(given: Quote) -> Instruction:
    """The swap with the taker as payer, out of its associated account, into the destination (default: the same)."""
    wish = given.wish
    return swap_base_input(
        given.pool.pool,
        payer=wish.taker,
        input_account=associated_token_address(wish.taker, wish.mint_in, SPL_TOKEN),
        output_account=wish.destination or associated_token_address(wish.taker, wish.mint_out, SPL_TOKEN),
        mint_in=wish.mint_in,
        amount_in=wish.amount_in,
        minimum_amount_out=given.amount_out_min,
    )
