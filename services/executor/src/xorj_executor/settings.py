"""What the executor is told, by environment; docs/interfaces.md lists the names common to all services."""

from pathlib import Path
from typing import Final

from pydantic import Field, field_validator
from solders.pubkey import Pubkey
from xorj_core.policy.limits import EXPIRY_SLOTS_MAX
from xorj_core.trade import TradeLimits
from xorj_service.settings import ServiceSettings

from xorj_executor.planning import PlanLimits
from xorj_executor.steps import Rules
from xorj_executor.watcher import WatchRules

SERVICE: Final = "executor"


class ExecutorSettings(ServiceSettings):
    """Each field is the variable XORJ_<NAME>."""

    rpc_url: str  # several endpoints are separated by commas; the first is preferred for reads
    ws_url: str
    genesis_hash: str
    vault_program: str
    venue_url: str
    venue_key_file: Path
    signer_address: str
    executor_intent_slots: int = Field(default=150, ge=10, le=1_200)
    executor_attempt_slots: int = Field(default=75, ge=10, le=EXPIRY_SLOTS_MAX)
    executor_delta_age_ms_max: int = Field(default=60_000, ge=1)
    executor_price_age_ms_max: int = Field(default=30_000, ge=1)
    executor_price_impact_bps_max: int = Field(default=500, ge=0, le=10_000)
    executor_unit_price_min: int = Field(default=0, ge=0)  # micro-lamports per compute unit
    executor_unit_price_max: int = Field(default=1_000_000, ge=0, le=10_000_000)
    executor_poll_ms: int = Field(default=300, ge=10)
    executor_resend_ms: int = Field(default=1_000, ge=100)
    executor_workers_max: int = Field(default=64, ge=1, le=1_000)

    @field_validator("vault_program")
    @classmethod
    def _is_address(cls, value: str) -> str:
        Pubkey.from_string(value)
        return value

    def rpc_urls(self) -> list[str]:
        """The endpoints."""
        return [url.strip() for url in self.rpc_url.split(",") if url.strip()]

    def rules(self) -> Rules:
        """The rules of the steps."""
        return Rules(
            mode=self.service_mode(),
            trade=TradeLimits(
                delta_age_ms_max=self.executor_delta_age_ms_max,
                price_age_ms_max=self.executor_price_age_ms_max,
                price_impact_bps_max=self.executor_price_impact_bps_max,
            ),
            plan=PlanLimits(
                attempt_slots=self.executor_attempt_slots,
                unit_price_micro_lamports_min=self.executor_unit_price_min,
                unit_price_micro_lamports_max=self.executor_unit_price_max,
            ),
            intent_slots=self.executor_intent_slots,
            vault_program=Pubkey.from_string(self.vault_program),
        )

    def watch_rules(self) -> WatchRules:
        """The pace of the watcher."""
        return WatchRules(resend_s=self.executor_resend_ms / 1000)
