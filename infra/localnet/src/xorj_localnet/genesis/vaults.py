"""The vaults that a local world opens: whose they are, what they hold, what their owners allow.

1. What a vault is given is stated as value and turned into base units at the market's first prices, rounded down.
2. Slippage limits are those of the profile.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from xorj_core.facts.common import RiskProfile
from xorj_core.profiles import limits_of

from xorj_localnet.market.scenario import Scenario
from xorj_localnet.market.tokens import PICO, value_in_base_units

MICRO = 10**6


@dataclass(frozen=True, slots=True)
class VaultPlan:
    """One vault to open. `value_usd` maps token symbols to whole USD; tokens that the market lacks are left out."""

    name: str
    profile: RiskProfile
    value_usd: Mapping[str, int]
    dead_band_bps: int = 100
    trade_value_micro_usd_min: int = 5 * MICRO
    trade_value_micro_usd_max: int = 2_000 * MICRO
    day_value_micro_usd_max: int = 20_000 * MICRO

    @property
    def slippage_bps_max(self) -> int:
        """The owner allows what the profile allows."""
        return limits_of(self.profile).slippage_bps_max

    def deposits(self, scenario: Scenario) -> dict[str, int]:
        """Base units by mint."""
        found = {}
        for token in scenario.tokens:
            value_pico_usd = self.value_usd.get(token.symbol, 0) * 10**PICO
            if value_pico_usd:
                price = scenario.price_pico_usd(token.mint, 0)
                found[token.mint] = value_in_base_units(value_pico_usd, price, token.decimals)
        return found


DEMO_VAULTS = (
    VaultPlan("conservative", RiskProfile.CONSERVATIVE, {"USDC": 1_000}),
    VaultPlan("moderate", RiskProfile.MODERATE, {"USDC": 1_500, "SOL": 500}),
    VaultPlan("aggressive", RiskProfile.AGGRESSIVE, {"USDC": 2_000, "BONK": 500, "JTO": 500}),
)
