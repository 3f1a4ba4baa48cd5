"""Lawful trades for the signer's bench: each of a vault of its own, complete to the last byte."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from xorj_core import ids
from xorj_core.bounds import reference_bound
from xorj_core.facts import (
    AttemptPlanned,
    Quote,
    ReferencePriceObserved,
    RiskProfile,
    SettingsChanged,
    TradeIntended,
    fact_id,
)
from xorj_core.owner_settings import settings_statement
from xorj_solana import vault
from xorj_solana.programs import LOCAL_CPMM_PROGRAM, LOCAL_VAULT_PROGRAM
from xorj_solana.vault import MintPlaces, TradeOrder

UNITS: Final = 200_000
UNIT_PRICE: Final = 10_000
PLANNED_SLOT: Final = 1_000
EXPIRY_SLOT: Final = 1_150
AMOUNT_IN: Final = 100_000_000
SLIPPAGE_BPS: Final = 50
SWAP_ACCOUNTS: Final = 11
"""As many as fit into a packet beside the trade's own; a direct Raydium CPMM swap names about as many."""
PICO_USD: Final = (10**12, 5 * 10**11)

Prices: TypeAlias = tuple[ReferencePriceObserved, ReferencePriceObserved]


@dataclass(frozen=True, slots=True)
class BenchTrade:
    """One trade's records, in the order in which they stand on the log."""

    settings: SettingsChanged
    intent: TradeIntended
    plan: AttemptPlanned


def new_prices() -> Prices:
    """Prices of two mints that nobody else uses, the first worth a dollar and the second half of one."""
    dollar, half = PICO_USD
    return _price(dollar), _price(half)


def lawful_trades(bot: bytes, genesis_hash: bytes, prices: Prices) -> Iterator[BenchTrade]:
    """Trades without end, each by another owner, who has signed the settings; `bot` is the key that is to sign."""
    while True:
        owner = Ed25519PrivateKey.generate()
        vault_address = bytes(vault.vault_address(LOCAL_VAULT_PROGRAM, Pubkey(owner.public_key().public_bytes_raw())))
        intent = _intent(vault_address, prices)
        yield BenchTrade(_settings(owner, vault_address, genesis_hash, prices), intent, _plan(intent, Pubkey(bot)))


def _price(pico_usd: int) -> ReferencePriceObserved:
    return ReferencePriceObserved(os.urandom(32), pico_usd, 6, "bench", "market", 1)


def _intent(vault_address: bytes, prices: Prices) -> TradeIntended:
    price_in, price_out = prices
    trade = ids.trade_id(vault_address, 1)
    delta = ids.delta_id(vault_address, os.urandom(32), PLANNED_SLOT)
    least = reference_bound(AMOUNT_IN, price_in.price_pico_usd, 6, price_out.price_pico_usd, 6, SLIPPAGE_BPS)
    return TradeIntended(
        intent_id=ids.intent_id(trade, delta),
        trade_id=trade,
        vault=vault_address,
        trade_seq=1,
        delta_id=delta,
        mint_in=price_in.mint,
        mint_out=price_out.mint,
        amount_in_base_units=AMOUNT_IN,
        amount_out_min_base_units=least,
        slippage_bps_max=SLIPPAGE_BPS,
        quote=Quote("bench", AMOUNT_IN, least, least, 1, (os.urandom(32),), os.urandom(32)),
        price_in_fact_id=fact_id(price_in),
        price_out_fact_id=fact_id(price_out),
        price_in_pico_usd=price_in.price_pico_usd,
        price_out_pico_usd=price_out.price_pico_usd,
        decimals_in=6,
        decimals_out=6,
        value_micro_usd=AMOUNT_IN,
        verdicts=(),
        expiry_slot=EXPIRY_SLOT,
    )


def _settings(
    owner: Ed25519PrivateKey,
    vault_address: bytes,
    genesis_hash: bytes,
    prices: Prices,
) -> SettingsChanged:
    unsigned = SettingsChanged(
        vault=vault_address,
        owner=owner.public_key().public_bytes_raw(),
        version=1,
        profile=RiskProfile.CONSERVATIVE,
        enabled=True,
        slippage_bps_max=SLIPPAGE_BPS,
        allowed_mints=tuple(price.mint for price in prices),
        dead_band_bps=100,
        trade_value_micro_usd_min=1,
        trade_value_micro_usd_max=10 * AMOUNT_IN,
        day_value_micro_usd_max=100 * AMOUNT_IN,
        owner_signature=b"",
    )
    return replace(unsigned, owner_signature=owner.sign(settings_statement(unsigned, genesis_hash)))


def _plan(intent: TradeIntended, bot: Pubkey) -> AttemptPlanned:
    blockhash = Hash(os.urandom(32))
    authority = vault.trade_authority_address(LOCAL_VAULT_PROGRAM, Pubkey(intent.vault))
    accounts = [AccountMeta(authority, is_signer=True, is_writable=False)]
    accounts += [AccountMeta(Pubkey(os.urandom(32)), is_signer=False, is_writable=True) for _ in range(SWAP_ACCOUNTS)]
    order = TradeOrder(
        seq=intent.trade_seq,
        intent_id=intent.intent_id,
        amount_in_max=intent.amount_in_base_units,
        amount_out_min=intent.amount_out_min_base_units,
        expiry_slot=EXPIRY_SLOT,
    )
    trade = vault.bot_trade(
        LOCAL_VAULT_PROGRAM,
        vault=Pubkey(intent.vault),
        bot_authority=bot,
        order=order,
        place_in=MintPlaces(Pubkey(intent.mint_in)),
        place_out=MintPlaces(Pubkey(intent.mint_out)),
        swap=Instruction(LOCAL_CPMM_PROGRAM, os.urandom(24), accounts),
    )
    instructions = [set_compute_unit_limit(UNITS), set_compute_unit_price(UNIT_PRICE), trade]
    message = vault.with_accounts_hash(MessageV0.try_compile(bot, instructions, [], blockhash), LOCAL_VAULT_PROGRAM, {})
    return AttemptPlanned(
        intent_id=intent.intent_id,
        trade_id=intent.trade_id,
        vault=intent.vault,
        trade_seq=intent.trade_seq,
        attempt=1,
        message=to_bytes_versioned(message),
        lookup_tables=(),
        blockhash=bytes(blockhash),
        last_valid_block_height=2_000,
        expiry_slot=EXPIRY_SLOT,
        compute_unit_limit=UNITS,
        compute_unit_price_micro_lamports=UNIT_PRICE,
        simulated_amount_out_base_units=intent.amount_out_min_base_units,
        simulated_units=UNITS,
        planned_slot=PLANNED_SLOT,
    )
