"""The rules of the signer's policy, in the order in which signing asks them; each is one named function of the case.

1. A rule says why not, or nothing; it never says "may": a trade may be signed only when every rule has been silent.
2. A rule that needs a record which its judge lacks raises `Missing` and is not silent.
"""

from collections.abc import Callable
from dataclasses import dataclass

from xorj_core import ids
from xorj_core.bounds import reference_bound
from xorj_core.facts.prices import ReferencePriceObserved
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.money import value_micro_usd
from xorj_core.policy.case import Case, Denied, Missing, Record
from xorj_core.policy.trade_instruction import accounts_hash
from xorj_core.profiles import LIMITS

LAMPORTS_PER_SIGNATURE = 5_000
COMPUTE_UNITS_MAX = 1_400_000
_I64_MAX = 2**63 - 1
_DECIMALS_MAX = 30


@dataclass(frozen=True, slots=True)
class Rule:
    """One demand; `name` is what reports call it, `demands` says it in a line."""

    name: str
    demands: str
    check: Callable[[Case], Denied | None]


def _attempt_of_intent(case: Case) -> Denied | None:
    intent, plan = case.intent, case.plan
    same = (plan.intent_id, plan.trade_id, plan.vault, plan.trade_seq)
    if same != (intent.intent_id, intent.trade_id, intent.vault, intent.trade_seq):
        return Denied(Reason.RECORD_MISMATCH, "the attempt is not one of this intent")
    return None


def _ids_from_causes(case: Case) -> Denied | None:
    intent = case.intent
    if not 1 <= intent.trade_seq <= _I64_MAX:
        return Denied(Reason.RECORD_MISMATCH, "the sequence is out of range")
    trade = ids.trade_id(intent.vault, intent.trade_seq)
    if intent.trade_id != trade or intent.intent_id != ids.intent_id(trade, intent.delta_id):
        return Denied(Reason.RECORD_MISMATCH, "the ids do not follow from vault, sequence and delta")
    return None


def _attempt_number(case: Case) -> Denied | None:
    if not 1 <= case.plan.attempt <= case.limits.attempts_max:
        return Denied(Reason.RECORD_MISMATCH, f"attempt {case.plan.attempt} of at most {case.limits.attempts_max}")
    return None


def _one_trade_and_nothing_else(case: Case) -> Denied | None:
    if case.reading.fault is None and case.reading.instructions is None:
        raise Missing(Record.TABLES)
    return case.reading.fault


def _swap_program(case: Case) -> Denied | None:
    if case.trade.swap_program not in case.limits.swap_programs:
        return Denied(Reason.PROGRAM_NOT_ALLOWED, f"swap program {case.trade.swap_program.hex()}")
    return None


def _only_signer(case: Case) -> Denied | None:
    message = case.message
    if message.required_signatures != 1 or message.static_keys[0] != case.bot_authority:
        return Denied(Reason.ACCOUNTS_MISMATCH, "our key is not the only signer and fee payer")
    return None


def _our_key_once(case: Case) -> Denied | None:
    trade = case.trade
    if trade.bot_authority.key != case.bot_authority:
        return Denied(Reason.ACCOUNTS_MISMATCH, "the trade's bot authority is not our key")
    if sum(account.key == case.bot_authority for account in trade.accounts) != 1:
        return Denied(Reason.ACCOUNTS_MISMATCH, "our key is handed on to the swap")
    return None


def _accounts_hash(case: Case) -> Denied | None:
    if case.trade.accounts_hash != accounts_hash(case.trade.accounts):
        return Denied(Reason.ACCOUNTS_MISMATCH, "the accounts hash is not that of the accounts")
    return None


def _arguments(case: Case) -> Denied | None:
    trade, intent = case.trade, case.intent
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


def _expiry(case: Case) -> Denied | None:
    plan, expiry = case.plan, case.trade.expiry_slot
    if expiry > min(case.intent.expiry_slot, _I64_MAX):
        return Denied(Reason.EXPIRY_OUT_OF_BOUNDS, f"expires at {expiry}, its intent at {case.intent.expiry_slot}")
    latest = plan.planned_slot + case.limits.expiry_slots_max
    if expiry != plan.expiry_slot or not plan.planned_slot < expiry <= latest:
        return Denied(Reason.EXPIRY_OUT_OF_BOUNDS, f"expires at {expiry}, planned at {plan.planned_slot}")
    return None


def _plan_says_the_same(case: Case) -> Denied | None:
    plan, instructions = case.plan, case.instructions
    if case.message.blockhash != plan.blockhash:
        return Denied(Reason.RECORD_MISMATCH, "the blockhash in the bytes is not the planned one")
    budget = (instructions.compute_unit_limit, instructions.compute_unit_price_micro_lamports)
    if budget != (plan.compute_unit_limit, plan.compute_unit_price_micro_lamports):
        return Denied(Reason.RECORD_MISMATCH, "the compute budget in the bytes is not the planned one")
    return None


def _fee(case: Case) -> Denied | None:
    fee = fee_lamports(case)
    if case.instructions.compute_unit_limit > COMPUTE_UNITS_MAX or fee > case.limits.fee_lamports_max:
        return Denied(Reason.FEE_TOO_HIGH, f"{fee} lamports, at most {case.limits.fee_lamports_max}")
    return None


def _owner_signed(case: Case) -> Denied | None:
    if case.settings_signed:
        return None
    return Denied(Reason.SETTINGS_NOT_SIGNED, "the settings are not signed by the vault's owner for this deployment")


def _owner_allows(case: Case) -> Denied | None:
    if not case.settings.enabled:
        return Denied(Reason.SETTINGS_FORBID, "the owner has disabled trading")
    if case.settings.profile not in LIMITS:
        return Denied(Reason.SETTINGS_MISSING, "the owner's settings name no risk profile")
    return None


def _mints_allowed(case: Case) -> Denied | None:
    mint_in, mint_out = case.intent.mint_in, case.intent.mint_out
    if not {mint_in, mint_out} <= set(case.settings.allowed_mints) or mint_in == mint_out:
        return Denied(Reason.SETTINGS_FORBID, "a mint that the owner does not allow")
    return None


def _prices_as_read(case: Case) -> Denied | None:
    for fact, (mint, price, decimals) in zip(_facts(case), _stated_prices(case), strict=True):
        if (fact.mint, fact.price_pico_usd, fact.decimals) != (mint, price, decimals):
            return Denied(Reason.RECORD_MISMATCH, "the intent states another price than the fact that it names")
        if not _is_price(fact):
            return Denied(Reason.PRICE_MISSING, "the reference price is no price")
    return None


def _prices_fresh(case: Case) -> Denied | None:
    for seen in case.prices:
        age_ms = case.now_ms - seen.timestamp_ms
        if age_ms > case.limits.price_age_ms_max:
            return Denied(Reason.PRICE_STALE, f"{age_ms} ms old, at most {case.limits.price_age_ms_max}")
    return None


def _value(case: Case) -> Denied | None:
    cap = min(case.settings.trade_value_micro_usd_max, case.limits.trade_value_micro_usd_max)
    value = trade_value_micro_usd(case)
    if case.intent.amount_in_base_units <= 0 or value > cap:
        return Denied(Reason.VALUE_CAP, f"{value} micro-USD, at most {cap}")
    return None


def _minimum_out(case: Case) -> Denied | None:
    intent = case.intent
    price_in, price_out = _usable_facts(case)
    profile = LIMITS.get(case.settings.profile)
    if profile is None:
        raise Missing(Record.SETTINGS)
    bound = reference_bound(
        intent.amount_in_base_units,
        price_in.price_pico_usd,
        price_in.decimals,
        price_out.price_pico_usd,
        price_out.decimals,
        min(case.settings.slippage_bps_max, profile.slippage_bps_max),
    )
    if intent.amount_out_min_base_units < bound or intent.amount_out_min_base_units <= 0:
        detail = f"{intent.amount_out_min_base_units} base units out, reference prices ask for {bound}"
        return Denied(Reason.MINIMUM_OUT_TOO_LOW, detail)
    return None


def fee_lamports(case: Case) -> int:
    """What the attempt costs the fee payer at most; the shape of what is signed lets nothing else leave it."""
    units, price = case.instructions.compute_unit_limit, case.instructions.compute_unit_price_micro_lamports
    return LAMPORTS_PER_SIGNATURE + -(-units * price // 1_000_000)


def trade_value_micro_usd(case: Case) -> int:
    """What goes in, at the reference price that the judge has read; raises `Missing`."""
    price_in, _ = _usable_facts(case)
    return value_micro_usd(case.intent.amount_in_base_units, price_in.decimals, price_in.price_pico_usd)


def _facts(case: Case) -> tuple[ReferencePriceObserved, ReferencePriceObserved]:
    price_in, price_out = case.prices
    return price_in.fact, price_out.fact


def _usable_facts(case: Case) -> tuple[ReferencePriceObserved, ReferencePriceObserved]:
    """The price facts, when both can be reckoned with; signing has asked `prices-as-read` before."""
    price_in, price_out = _facts(case)
    if not (_is_price(price_in) and _is_price(price_out)):
        raise Missing(Record.PRICES)
    return price_in, price_out


def _is_price(fact: ReferencePriceObserved) -> bool:
    return fact.price_pico_usd > 0 and 0 <= fact.decimals <= _DECIMALS_MAX


def _stated_prices(case: Case) -> tuple[tuple[bytes, int, int], tuple[bytes, int, int]]:
    intent = case.intent
    return (
        (intent.mint_in, intent.price_in_pico_usd, intent.decimals_in),
        (intent.mint_out, intent.price_out_pico_usd, intent.decimals_out),
    )


RULES: tuple[Rule, ...] = (
    Rule("attempt-of-intent", "The attempt belongs to the intent.", _attempt_of_intent),
    Rule("ids-from-causes", "Trade and intent id follow from vault, sequence and delta.", _ids_from_causes),
    Rule("attempt-number", "The intent has not used up its attempts.", _attempt_number),
    Rule("one-trade-only", "The bytes are one v0 message with one bot_trade of ours.", _one_trade_and_nothing_else),
    Rule("swap-program", "The policy allows the program that the trade calls.", _swap_program),
    Rule("only-signer", "Our key is the only signer and pays the fee.", _only_signer),
    Rule("our-key-once", "Our key is the bot authority and nothing else in the trade.", _our_key_once),
    Rule("accounts-hash", "The accounts hash is that of the accounts.", _accounts_hash),
    Rule("arguments", "The arguments of the trade are those of the intent.", _arguments),
    Rule("expiry", "The trade expires with its intent at the latest, and soon.", _expiry),
    Rule("plan-says-the-same", "Blockhash and compute budget are the planned ones.", _plan_says_the_same),
    Rule("fee", "The fee is within the operator's cap.", _fee),
    Rule("owner-signed", "The vault's owner has signed the settings, for this cluster and program.", _owner_signed),
    Rule("owner-allows", "The owner has enabled trading with a risk profile.", _owner_allows),
    Rule("mints-allowed", "The owner allows both mints.", _mints_allowed),
    Rule("prices-as-read", "The intent states the reference prices that stand on the log.", _prices_as_read),
    Rule("prices-fresh", "The reference prices are not old.", _prices_fresh),
    Rule("value", "The value is within the owner's and the operator's cap.", _value),
    Rule("minimum-out", "At least the reference value less the owner's slippage comes out.", _minimum_out),
)
"""Asked in this order; the first that says why not is the refusal. Later rules rely on earlier ones."""
