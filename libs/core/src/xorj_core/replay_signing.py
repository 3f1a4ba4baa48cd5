"""Decides again what the signer decided: whether the policy, the owner and control allowed a signature.

1. The policy is asked by the very function that the signer asks, with the policy that stands on the log under the hash
   that the decision names.
2. That the owner had signed the settings is verified anew, for the cluster that the decision names.
3. A signature that a kill stood against, or that is no signature of the named key, is a difference.
4. What a refusal owes to the signer's ledger, key or clock is taken as recorded, but not that the policy approved
   before: with a basis, the policy is asked, and its refusal comes first.
"""

import hashlib
from dataclasses import replace
from typing import Final

from xorj_core.facts import (
    AttemptPlanned,
    Fact,
    ReferencePriceObserved,
    SeenRecord,
    SettingsChanged,
    SigningBasis,
    SigningRefused,
    TradeIntended,
    TradeSigned,
    id_of_cause,
)
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.kill import kill_of, told
from xorj_core.owner_settings import Deployment, has_owner_signed
from xorj_core.policy.decide import (
    REFUSAL_DETAIL_MAX,
    Approved,
    Decision,
    Denied,
    SeenPrice,
    SigningInputs,
    decide_signing,
)
from xorj_core.replay_sources import InputMissing, Sources, only, placed_at, seen_at

NOT_THE_POLICYS: Final = frozenset(
    {
        Reason.NOT_AUDITED,
        Reason.KILLED,
        Reason.NO_LEASE,
        Reason.OBSERVE_MODE,
        Reason.SEQUENCE_TAKEN,
        Reason.ATTEMPT_TAKEN,
        Reason.WINDOW_CAP,
        Reason.OUTFLOW_CAP,
        Reason.PROVIDER_FAILED,
        Reason.PROVIDER_TIMEOUT,
        Reason.PROVIDER_THROTTLED,
        Reason.PROVIDER_MALFORMED,
        Reason.PROVIDER_WRONG_KEY,
        Reason.PROVIDER_KEY_DISABLED,
        Reason.PROVIDER_DENIED,
        Reason.BAD_SIGNATURE,
        Reason.LEDGER_UNAVAILABLE,
        Reason.LOG_UNAVAILABLE,
        Reason.BUSY,
        Reason.INTERNAL,
    }
)
"""Reasons for which an attempt that was read is refused without the policy, or after it approved."""
_NO_BASIS = SigningBasis()


def is_refusal_by_policy(fact: SigningRefused) -> bool:
    """Whether there is something to decide again; a fact without intent stands for many requests, or for none read."""
    return fact.basis != _NO_BASIS or (bool(fact.intent_id) and fact.reason not in NOT_THE_POLICYS)


def needed_to_sign(fact: TradeSigned | SigningRefused) -> tuple[bytes, ...]:
    """Ids of the facts that deciding this one again asks for."""
    if isinstance(fact, SigningRefused) and not is_refusal_by_policy(fact):
        return ()
    basis = fact.basis
    records = (id_of_cause(TradeIntended, fact.intent_id), id_of_cause(AttemptPlanned, fact.intent_id, fact.attempt))
    return (*records, basis.settings_fact_id, basis.price_in.fact_id, basis.price_out.fact_id)


def redecide_signed(fact: TradeSigned, sources: Sources) -> Fact:
    """The signature's fact as its inputs give it, or the refusal that they give instead."""
    inputs, decision = _decide(fact, sources)
    if isinstance(decision, Denied):
        return _refused(fact, decision)
    state = sources.kills(fact.control_offset)
    if state is not None and (kill := kill_of(state, fact.vault)) is not None:
        return _refused(fact, Denied(Reason.KILLED, told(kill)))
    message = inputs.plan.message
    if not sources.verifies(inputs.bot_authority, message, fact.signature):
        return _refused(fact, Denied(Reason.BAD_SIGNATURE, "it is no signature of the named key over these bytes"))
    return replace(
        fact,
        trade_id=inputs.intent.trade_id,
        vault=inputs.intent.vault,
        trade_seq=inputs.intent.trade_seq,
        message_sha256=hashlib.sha256(message).digest(),
        transaction=b"\x01" + fact.signature + message,
        policy_sha256=fact.basis.policy_sha256,
    )


def redecide_signing_refused(fact: SigningRefused, sources: Sources) -> Fact:
    """The refusal as its inputs give it. Of one that the policy did not make, only that the policy approved."""
    inputs, decision = _decide(fact, sources)
    known = replace(fact, trade_id=inputs.intent.trade_id, vault=inputs.intent.vault)
    match decision:
        case Denied(reason, detail):
            return replace(known, reason=reason, detail=detail[:REFUSAL_DETAIL_MAX])
        case Approved():
            if fact.reason in NOT_THE_POLICYS:
                return known
            return replace(known, reason=Reason.UNSPECIFIED, detail="the policy has nothing against the attempt")


def _decide(fact: TradeSigned | SigningRefused, sources: Sources) -> tuple[SigningInputs, Decision]:
    basis = fact.basis
    if not basis.genesis_hash:
        raise InputMissing("it does not say for which cluster the owner's signature was judged")
    limits = sources.policy(basis.policy_sha256)
    if limits is None:
        raise InputMissing(f"no policy with hash {basis.policy_sha256.hex()} was adopted on this log")
    intent_id = id_of_cause(TradeIntended, fact.intent_id)
    plan_id = id_of_cause(AttemptPlanned, fact.intent_id, fact.attempt)
    settings = only(sources, basis.settings_fact_id, SettingsChanged)
    deployment = Deployment(basis.genesis_hash, limits.vault_program)
    inputs = SigningInputs(
        intent=placed_at(sources, intent_id, fact.intent_position, TradeIntended),
        plan=placed_at(sources, plan_id, fact.attempt_position, AttemptPlanned),
        settings=settings,
        settings_signed=settings is not None and has_owner_signed(settings, deployment, sources.verifies),
        price_in=_price(sources, basis.price_in),
        price_out=_price(sources, basis.price_out),
        now_ms=basis.now_ms,
        bot_authority=basis.bot_authority,
    )
    return inputs, decide_signing(inputs, limits)


def _price(sources: Sources, seen: SeenRecord) -> SeenPrice | None:
    if not seen.fact_id:
        return None
    return SeenPrice(seen_at(sources, seen, ReferencePriceObserved), seen.appended_at_ms)


def _refused(fact: TradeSigned, denied: Denied) -> SigningRefused:
    return SigningRefused(
        intent_id=fact.intent_id,
        trade_id=fact.trade_id,
        vault=fact.vault,
        attempt=fact.attempt,
        reason=denied.reason,
        detail=denied.detail[:REFUSAL_DETAIL_MAX],
        caller="",
        attempt_position=fact.attempt_position,
        refused_at_us=fact.signed_at_us,
        requests=1,
        basis=fact.basis,
        intent_position=fact.intent_position,
    )
