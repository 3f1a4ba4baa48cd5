"""Which refusals of the signer time may cure: the same bytes may be asked for again. Every other refusal is final."""

from xorj_core.facts.signed_txs import SigningRefusedReason as Reason

PASSING = frozenset(
    {
        Reason.RECORD_NOT_FOUND,
        Reason.NOT_AUDITED,
        Reason.KILLED,
        Reason.NO_LEASE,
        Reason.SETTINGS_MISSING,
        Reason.PRICE_MISSING,
        Reason.PROVIDER_FAILED,
        Reason.PROVIDER_TIMEOUT,
        Reason.PROVIDER_THROTTLED,
        Reason.PROVIDER_MALFORMED,
        Reason.LEDGER_UNAVAILABLE,
        Reason.LOG_UNAVAILABLE,
        Reason.BUSY,
        Reason.INTERNAL,
    }
)
