"""What the reconciler is told."""

from pydantic import Field
from xorj_service.settings import ServiceSettings


class ReconcilerSettings(ServiceSettings):
    """The common settings, the chain, and when to look."""

    rpc_url: str
    vault_program: str
    reconcile_period_ms: int = Field(default=60_000, ge=1_000)
    reconcile_retry_ms: int = Field(default=1_000, ge=100)  # after a reason that passes by itself
    reconcile_price_age_ms_max: int = Field(default=30_000, ge=1_000)
