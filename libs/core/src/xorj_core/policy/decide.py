"""Decides whether a planned attempt may be signed, from records that the signer has read by itself.

Checks run in the order below; the first that fails is the refusal.

1. The plan belongs to the intent, and both ids follow from their causes.
2. The bytes hold one `bot_trade` of this intent, our key is the only signer, and nothing else happens.
3. The trade expires soon, its fee is bounded, and the plan says the same as the bytes.
4. The owner allows it: enabled, both mints allowed, value within the settings.
5. It brings at least the reference value less the owner's slippage (never more than the risk profile's), by prices that
   are known here and fresh.
"""

from dataclasses import dataclass
from typing import TypeAlias

from xorj_core import ids
from xorj_core.bounds import reference_bound
from xorj_core.facts.prices import ReferencePriceObserved
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.facts.trade_intents import AttemptPlanned, TradeIntended
from xorj_core.facts.user_settings import SettingsChanged
from xorj_core.money import value_micro_usd
from xorj_core.policy.limits import PolicyLimits
from xorj_core.policy.trade_instruction import (
    BadTradeData,
    NotOurs,
    TradeInstructions,
    accounts_hash,
    read_instructions,
)
from xorj_core.profiles import LIMITS
from xorj_core.solana_message import Account, MalformedMessage, Message, decode, resolve

LAMPORTS_PER_SIGNATURE = 5_000
COMPUTE_UNITS_MAX = 1_400_000
_I64_MAX = 2**63 - 1
_DECIMALS_MAX = 30


@dataclass(frozen=True, slots=True)
class SeenPrice:
    """A price fact that the signer has read from the log, and when the broker appended it."""

    fact: ReferencePriceObserved
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class SigningInputs:
    """All that the decision depends on; `now_ms` is the newest append time of the broker that the signer has seen."""

    intent: TradeIntended
    plan: AttemptPlanned
    settings: SettingsChanged | None
    price_in: SeenPrice | None
    price_out: SeenPrice | None
    now_ms: int
    bot_authority: bytes  # 32 bytes: the key that would sign


@dataclass(frozen=True, slots=True)
class Approved:
    """The attempt may be signed."""

    value_micro_usd: int


@dataclass(frozen=True, slots=True)
class Denied:
    """The attempt must not be signed."""

    reason: Reason
    detail: str


Decision: TypeAlias = Approved | Denied


def decide_signing(inputs: SigningInputs, limits: PolicyLimits) -> Decision:
    """The verdict on one attempt."""
    denied = _check_records(inputs.intent, inputs.plan, limits)
    if denied is not None:
        return denied
    try:
        message = decode(inputs.plan.message)
        accounts = resolve(message, {table.address: table.addresses for table in inputs.plan.lookup_tables})
        instructions = read_instructions(message, accounts, limits.vault_program)
    except MalformedMessage as error:
        return Denied(Reason.MALFORMED_TRANSACTION, str(error))
    except NotOurs as error:
        return Denied(Reason.PROGRAM_NOT_ALLOWED, str(error))
    except BadTradeData as error:
        return Denied(Reason.INTENT_MISMATCH, str(error))
    return (
        _check_accounts(message, accounts, instructions, inputs.bot_authority)
        or _check_arguments(instructions, inputs.intent)
        or _check_plan(message, instructions, inputs, limits)
        or _check_value(inputs, limits)
    )


def _check_records(intent: TradeIntended, plan: AttemptPlanned, limits: PolicyLimits) -> Denied | None:
    same = (plan.intent_id, plan.trade_id, plan.vault, plan.trade_seq)
    if same != (intent.intent_id, intent.trade_id, intent.vault, intent.trade_seq):
        return Denied(Reason.RECORD_MISMATCH, "the attempt is not one of this intent")
    if not 1 <= intent.trade_seq <= _I64_MAX:
        return Denied(Reason.RECORD_MISMATCH, "the sequence is out of range")
    trade = ids.trade_id(intent.vault, intent.trade_seq)
    if intent.trade_id != trade or intent.intent_id != ids.intent_id(trade, intent.delta_id):
        return Denied(Reason.RECORD_MISMATCH, "the ids do not follow from vault, sequence and delta")
    if not 1 <= plan.attempt <= limits.attempts_max:
        return Denied(Reason.RECORD_MISMATCH, f"attempt {plan.attempt} of at most {limits.attempts_max}")
    return None


def _check_accounts(
    message: Message, accounts: tuple[Account, ...], instructions: TradeInstructions, bot_authority: bytes
) -> Denied | None:
    trade = instructions.trade
    if message.required_signatures != 1 or message.static_keys[0] != bot_authority:
        return Denied(Reason.ACCOUNTS_MISMATCH, "our key is not the only signer and fee payer")
    if trade.bot_authority.key != bot_authority:
        return Denied(Reason.ACCOUNTS_MISMATCH, "the trade's bot authority is not our key")
    if sum(account.key == bot_authority for account in trade.accounts) != 1:
        return Denied(Reason.ACCOUNTS_MISMATCH, "our key is handed on to the swap")
    if trade.accounts_hash != accounts_hash(trade.accounts):
        return Denied(Reason.ACCOUNTS_MISMATCH, "the accounts hash is not that of the accounts")
    return None


def _check_arguments(instructions: TradeInstructions, intent: TradeIntended) -> Denied | None:
    trade = instructions.trade
    pairs = (
        ("sequence", trade.seq, intent.trade_seq),
        ("intent id", trade.intent_id, intent.intent_id),
        ("amount in", trade.amount_in_max, intent.amount_in_base_units),
        ("minimum out", trade.amount_out_min, intent.amount_out_min_base_units),
        ("vault", trade.vault, intent.vault),
        ("mint in", trade.mint_in, intent.mint_in),
        ("mint out", trade.mint_out, intent.mint_out),
    )
    for name, in_bytes, intended in pairs:
        if in_bytes != intended:
            return Denied(Reason.INTENT_MISMATCH, f"{name} in the bytes is not the intended one")
    return None


def _check_plan(
    message: Message, instructions: TradeInstructions, inputs: SigningInputs, limits: PolicyLimits
) -> Denied | None:
    plan, expiry = inputs.plan, instructions.trade.expiry_slot
    if expiry > inputs.intent.expiry_slot:
        return Denied(Reason.EXPIRY_OUT_OF_BOUNDS, f"expires at {expiry}, its intent at {inputs.intent.expiry_slot}")
    if expiry != plan.expiry_slot or not plan.planned_slot < expiry <= plan.planned_slot + limits.expiry_slots_max:
        return Denied(Reason.EXPIRY_OUT_OF_BOUNDS, f"expires at {expiry}, planned at {plan.planned_slot}")
    if message.blockhash != plan.blockhash:
        return Denied(Reason.RECORD_MISMATCH, "the blockhash in the bytes is not the planned one")
    limit, price = instructions.compute_unit_limit, instructions.compute_unit_price_micro_lamports
    if (limit, price) != (plan.compute_unit_limit, plan.compute_unit_price_micro_lamports):
        return Denied(Reason.RECORD_MISMATCH, "the compute budget in the bytes is not the planned one")
    fee = LAMPORTS_PER_SIGNATURE + -(-limit * price // 1_000_000)
    if limit > COMPUTE_UNITS_MAX or fee > limits.fee_lamports_max:
        return Denied(Reason.FEE_TOO_HIGH, f"{fee} lamports, at most {limits.fee_lamports_max}")
    return None


def _check_value(inputs: SigningInputs, limits: PolicyLimits) -> Decision:
    intent, settings = inputs.intent, inputs.settings
    if settings is None:
        return Denied(Reason.SETTINGS_MISSING, "the owner's settings are not known here")
    if not settings.enabled:
        return Denied(Reason.SETTINGS_FORBID, "the owner has disabled trading")
    profile = LIMITS.get(settings.profile)
    if profile is None:
        return Denied(Reason.SETTINGS_MISSING, "the owner's settings name no risk profile")
    if not {intent.mint_in, intent.mint_out} <= set(settings.allowed_mints) or intent.mint_in == intent.mint_out:
        return Denied(Reason.SETTINGS_FORBID, "a mint that the owner does not allow")
    prices = _usable_prices(inputs, limits)
    if isinstance(prices, Denied):
        return prices
    price_in, price_out = prices
    value = value_micro_usd(intent.amount_in_base_units, price_in.decimals, price_in.price_pico_usd)
    cap = min(settings.trade_value_micro_usd_max, limits.trade_value_micro_usd_max)
    if intent.amount_in_base_units <= 0 or value > cap:
        return Denied(Reason.VALUE_CAP, f"{value} micro-USD, at most {cap}")
    bound = reference_bound(
        intent.amount_in_base_units,
        price_in.price_pico_usd,
        price_in.decimals,
        price_out.price_pico_usd,
        price_out.decimals,
        min(settings.slippage_bps_max, profile.slippage_bps_max),
    )
    if intent.amount_out_min_base_units < bound or intent.amount_out_min_base_units <= 0:
        detail = f"{intent.amount_out_min_base_units} base units out, reference prices ask for {bound}"
        return Denied(Reason.MINIMUM_OUT_TOO_LOW, detail)
    return Approved(value)


def _usable_prices(
    inputs: SigningInputs, limits: PolicyLimits
) -> tuple[ReferencePriceObserved, ReferencePriceObserved] | Denied:
    intent = inputs.intent
    if inputs.price_in is None or inputs.price_out is None:
        return Denied(Reason.PRICE_MISSING, "a reference price that has not been read here")
    stated = (
        (intent.mint_in, intent.price_in_pico_usd, intent.decimals_in),
        (intent.mint_out, intent.price_out_pico_usd, intent.decimals_out),
    )
    for seen, (mint, price, decimals) in zip((inputs.price_in, inputs.price_out), stated, strict=True):
        fact = seen.fact
        if (fact.mint, fact.price_pico_usd, fact.decimals) != (mint, price, decimals):
            return Denied(Reason.RECORD_MISMATCH, "the intent states another price than the fact that it names")
        if fact.price_pico_usd <= 0 or fact.decimals > _DECIMALS_MAX:
            return Denied(Reason.PRICE_MISSING, "the reference price is no price")
        age_ms = inputs.now_ms - seen.timestamp_ms
        if age_ms > limits.price_age_ms_max:
            return Denied(Reason.PRICE_STALE, f"{age_ms} ms old, at most {limits.price_age_ms_max}")
    return inputs.price_in.fact, inputs.price_out.fact
