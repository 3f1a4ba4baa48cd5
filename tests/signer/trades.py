"""An honest trade, complete to the last byte, and ways to bend single parts of it.

The message is built with the client that the executor uses, which shares no code with what the signer reads it by.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from xorj_core import ids
from xorj_core.bounds import reference_bound
from xorj_core.facts import (
    AttemptPlanned,
    Fact,
    Quote,
    ReferencePriceObserved,
    RiskProfile,
    SettingsChanged,
    TradeIntended,
    fact_id,
)
from xorj_core.owner_settings import Deployment, has_owner_signed, settings_statement
from xorj_core.policy.decide import SeenPrice, SigningInputs
from xorj_core.policy.file import parse_policy
from xorj_halt.strict import verify_ed25519
from xorj_localnet.policy import LOCAL_POLICY
from xorj_solana import vault
from xorj_solana.programs import LOCAL_CPMM_PROGRAM, LOCAL_VAULT_PROGRAM
from xorj_solana.vault import MintPlaces, TradeOrder

LIMITS = parse_policy(LOCAL_POLICY)
LIMIT_UNITS, PRICE_MICRO = 200_000, 10_000
PLANNED_SLOT, EXPIRY_SLOT = 1_000, 1_150
NOW_MS = 1_700_000_000_000


def some_key(seed: str) -> bytes:
    """32 bytes that belong to nobody."""
    return hashlib.sha256(seed.encode()).digest()


USDC, JUP = some_key("usdc"), some_key("jup")
DEPLOYMENT = Deployment(genesis_hash=some_key("cluster"), vault_program=bytes(LOCAL_VAULT_PROGRAM))
_OWNERS: dict[bytes, Keypair] = {}


def new_owner(seed: bytes | None = None) -> bytes:
    """The address of an owner who can sign settings."""
    pair = Keypair.from_seed(seed or os.urandom(32))
    address = bytes(pair.pubkey())
    _OWNERS[address] = pair
    return address


def signed(settings: SettingsChanged) -> SettingsChanged:
    """The settings as their owner signs them."""
    statement = settings_statement(settings, DEPLOYMENT.genesis_hash)
    return replace(settings, owner_signature=bytes(_OWNERS[settings.owner].sign_message(statement)))


@dataclass(frozen=True, slots=True)
class Trade:
    """Everything that a signer needs to know about one attempt."""

    intent: TradeIntended
    plan: AttemptPlanned
    settings: SettingsChanged
    price_in: ReferencePriceObserved
    price_out: ReferencePriceObserved
    bot: bytes

    def inputs(self, **changes: Any) -> SigningInputs:
        """What the pure decision takes, with prices read just now."""
        given: dict[str, Any] = {
            "intent": self.intent,
            "plan": self.plan,
            "settings": self.settings,
            "settings_signed": has_owner_signed(self.settings, DEPLOYMENT, verify_ed25519),
            "price_in": SeenPrice(self.price_in, NOW_MS),
            "price_out": SeenPrice(self.price_out, NOW_MS),
            "now_ms": NOW_MS,
            "bot_authority": self.bot,
        }
        return SigningInputs(**{**given, **changes})

    def background(self) -> list[Fact]:
        """What the ingestor has published before."""
        return [self.settings, self.price_in, self.price_out]

    def with_intent(self, **changes: Any) -> "Trade":
        """Another intent, same bytes."""
        return replace(self, intent=replace(self.intent, **changes))

    def with_plan(self, **changes: Any) -> "Trade":
        """Another plan of the same intent."""
        return replace(self, plan=replace(self.plan, **changes))

    def with_settings(self, **changes: Any) -> "Trade":
        """Other wishes of the owner, signed."""
        return replace(self, settings=signed(replace(self.settings, **changes)))

    def with_forged_settings(self, **changes: Any) -> "Trade":
        """Wishes that the owner has never had, under the signature for others."""
        return replace(self, settings=replace(self.settings, **changes))


@dataclass(frozen=True, slots=True)
class Bytes:
    """How the message of a trade is put together; every field may be bent."""

    program: Pubkey = LOCAL_VAULT_PROGRAM
    units: int = LIMIT_UNITS
    unit_price: int = PRICE_MICRO
    before: Sequence[Instruction] = ()
    after: Sequence[Instruction] = ()
    order: dict[str, Any] = field(default_factory=dict)  # changes to the TradeOrder
    extra_swap_accounts: Sequence[AccountMeta] = ()
    vault_owner: Pubkey | None = None
    mint_in: bytes | None = None
    bend: Callable[[Instruction], Instruction] = lambda instruction: instruction
    hashed: bool = True


def honest_trade(
    bot: bytes,
    *,
    owner: bytes | None = None,
    seq: int = 1,
    attempt: int = 1,
    amount_in: int = 100_000_000,
    amount_out_min: int | None = None,
    delta: bytes | None = None,
    made: Bytes | None = None,
    settings_version: int = 1,
) -> Trade:
    """100 USDC into JUP at 0.50 USD, half a per cent of slippage, in a vault of a new owner."""
    owner_key = Pubkey(owner or new_owner())
    address = bytes(vault.vault_address(LOCAL_VAULT_PROGRAM, owner_key))
    price_in = price_of(USDC, 10**12)
    price_out = price_of(JUP, 5 * 10**11)
    if amount_out_min is None:
        amount_out_min = reference_bound(amount_in, 10**12, 6, 5 * 10**11, 6, 50)
    trade = ids.trade_id(address, seq)
    delta = delta or ids.delta_id(address, os.urandom(32), 900)
    intent = TradeIntended(
        intent_id=ids.intent_id(trade, delta),
        trade_id=trade,
        vault=address,
        trade_seq=seq,
        delta_id=delta,
        mint_in=USDC,
        mint_out=JUP,
        amount_in_base_units=amount_in,
        amount_out_min_base_units=amount_out_min,
        slippage_bps_max=50,
        quote=Quote("local", amount_in, 200_000_000, 199_000_000, 1, (some_key("pool"),), some_key("body")),
        price_in_fact_id=fact_id(price_in),
        price_out_fact_id=fact_id(price_out),
        price_in_pico_usd=price_in.price_pico_usd,
        price_out_pico_usd=price_out.price_pico_usd,
        decimals_in=6,
        decimals_out=6,
        value_micro_usd=100_000_000,
        verdicts=(),
        expiry_slot=PLANNED_SLOT + 250,
    )
    unsigned = SettingsChanged(
        vault=address,
        owner=bytes(owner_key),
        version=settings_version,
        profile=RiskProfile.CONSERVATIVE,
        enabled=True,
        slippage_bps_max=50,
        allowed_mints=(USDC, JUP),
        dead_band_bps=100,
        trade_value_micro_usd_min=1,
        trade_value_micro_usd_max=1_000_000_000,
        day_value_micro_usd_max=10_000_000_000,
        owner_signature=b"",
    )
    plan = plan_of(intent, owner_key, bot, attempt, made or Bytes())
    return Trade(intent, plan, signed(unsigned), price_in, price_out, bot)


def price_of(mint: bytes, price_pico_usd: int, *, decimals: int = 6) -> ReferencePriceObserved:
    """A price fact with an id of its own."""
    observed_at_us = int.from_bytes(os.urandom(6), "big")
    return ReferencePriceObserved(mint, price_pico_usd, decimals, "local", "market", observed_at_us)


def plan_of(intent: TradeIntended, owner: Pubkey, bot: bytes, attempt: int, made: Bytes) -> AttemptPlanned:
    """The attempt whose bytes are put together as `made` says."""
    blockhash = Hash(some_key("blockhash"))
    message = _message(intent, made.vault_owner or owner, Pubkey(bot), attempt, made, blockhash)
    return AttemptPlanned(
        intent_id=intent.intent_id,
        trade_id=intent.trade_id,
        vault=intent.vault,
        trade_seq=intent.trade_seq,
        attempt=attempt,
        message=to_bytes_versioned(message),
        lookup_tables=(),
        blockhash=bytes(blockhash),
        last_valid_block_height=2_000,
        expiry_slot=made.order.get("expiry_slot", EXPIRY_SLOT),
        compute_unit_limit=made.units,
        compute_unit_price_micro_lamports=made.unit_price,
        simulated_amount_out_base_units=200_000_000,
        simulated_units=150_000,
        planned_slot=PLANNED_SLOT,
    )


def _message(
    intent: TradeIntended, owner: Pubkey, bot: Pubkey, attempt: int, made: Bytes, blockhash: Hash
) -> MessageV0:
    address = vault.vault_address(LOCAL_VAULT_PROGRAM, owner)
    authority = vault.trade_authority_address(made.program, address)
    order = TradeOrder(
        **{
            "seq": intent.trade_seq,
            "intent_id": intent.intent_id,
            "amount_in_max": intent.amount_in_base_units,
            "amount_out_min": intent.amount_out_min_base_units,
            "expiry_slot": EXPIRY_SLOT,
            **made.order,
        }
    )
    swap = Instruction(
        LOCAL_CPMM_PROGRAM,
        b"swap" + bytes([attempt]),
        [
            AccountMeta(authority, is_signer=True, is_writable=False),
            AccountMeta(Pubkey(some_key("pool")), is_signer=False, is_writable=True),
            *made.extra_swap_accounts,
        ],
    )
    trade = vault.bot_trade(
        made.program,
        vault=address,
        bot_authority=bot,
        order=order,
        place_in=MintPlaces(Pubkey(made.mint_in or intent.mint_in)),
        place_out=MintPlaces(Pubkey(intent.mint_out)),
        swap=swap,
    )
    instructions = [
        *made.before,
        set_compute_unit_limit(made.units),
        set_compute_unit_price(made.unit_price),
        made.bend(trade),
        *made.after,
    ]
    message = MessageV0.try_compile(bot, instructions, [], blockhash)
    try:
        return vault.with_accounts_hash(message, made.program, {}) if made.hashed else message
    except vault.InvalidInstruction:
        return message
