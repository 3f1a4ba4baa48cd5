"""Decides whether a planned attempt may be signed, from records that the signer has read by itself.

1. Rules are asked in the order of `rules.RULES`; the first that says why not is the refusal.
2. A record that is missing is a refusal, never a rule left out.
3. `explain` asks every rule, for people; it approves nothing.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.facts.trade_intents import AttemptPlanned, TradeIntended
from xorj_core.facts.user_settings import SettingsChanged
from xorj_core.policy.case import Case, Denied, Missing, Record, SeenPrice, read_message
from xorj_core.policy.limits import PolicyLimits
from xorj_core.policy.rules import RULES, Rule, fee_lamports, trade_value_micro_usd

__all__ = [
    "DECISION_VERSION",
    "REFUSAL_DETAIL_MAX",
    "Approved",
    "Decision",
    "Denied",
    "SeenPrice",
    "SigningInputs",
    "decide_signing",
    "explain",
]

DECISION_VERSION: Final = 1
"""Stands in each TradeSigned and SigningRefused. A change of any rule is a new one, and replay keeps the old rules."""
REFUSAL_DETAIL_MAX: Final = 300
"""Characters of a refusal's detail that its fact holds."""

_MISSING = {
    Record.INTENT: Reason.RECORD_NOT_FOUND,
    Record.PLAN: Reason.RECORD_NOT_FOUND,
    Record.TRANSACTION: Reason.MALFORMED_TRANSACTION,
    Record.TABLES: Reason.MALFORMED_TRANSACTION,
    Record.SETTINGS: Reason.SETTINGS_MISSING,
    Record.PRICES: Reason.PRICE_MISSING,
    Record.BOT_AUTHORITY: Reason.ACCOUNTS_MISMATCH,
}


@dataclass(frozen=True, slots=True)
class SigningInputs:
    """All that the decision depends on; `now_ms` is the newest append time of the broker that the signer has seen."""

    intent: TradeIntended
    plan: AttemptPlanned
    settings: SettingsChanged | None
    settings_signed: bool  # by the vault's owner, for the signer's cluster and vault program
    price_in: SeenPrice | None
    price_out: SeenPrice | None
    now_ms: int
    bot_authority: bytes  # 32 bytes: the key that would sign


@dataclass(frozen=True, slots=True)
class Approved:
    """The attempt may be signed."""

    value_micro_usd: int
    outflow_lamports: int


Decision: TypeAlias = Approved | Denied


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says; both are None when it has nothing against the attempt."""

    rule: Rule
    denied: Denied | None = None
    missing: Record | None = None


def decide_signing(inputs: SigningInputs, limits: PolicyLimits) -> Decision:
    """The verdict on one attempt."""
    case = _case(inputs, limits)
    try:
        for rule in RULES:
            denied = rule.check(case)
            if denied is not None:
                return denied
        return Approved(trade_value_micro_usd(case), fee_lamports(case))
    except Missing as missing:
        return Denied(_MISSING[missing.record], f"not known here: {missing}")


def explain(case: Case) -> tuple[Verdict, ...]:
    """The verdict of every rule, in order."""
    return tuple(_verdict(rule, case) for rule in RULES)


def _verdict(rule: Rule, case: Case) -> Verdict:
    try:
        return Verdict(rule, denied=rule.check(case))
    except Missing as missing:
        return Verdict(rule, missing=missing.record)


def _case(inputs: SigningInputs, limits: PolicyLimits) -> Case:
    plan, prices = inputs.plan, None
    if inputs.price_in is not None and inputs.price_out is not None:
        prices = (inputs.price_in, inputs.price_out)
    return Case(
        limits=limits,
        reading=read_message(plan.message, plan.lookup_tables, limits.vault_program),
        known_intent=inputs.intent,
        known_plan=plan,
        known_settings=inputs.settings,
        known_settings_signed=None if inputs.settings is None else inputs.settings_signed,
        known_prices=prices,
        known_bot_authority=inputs.bot_authority,
        now_ms=inputs.now_ms,
    )
