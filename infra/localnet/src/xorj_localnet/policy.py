"""Owns the policy that a local world's signer is given: real bounds, wide enough for benches with a thousand vaults."""

from pathlib import Path

from xorj_solana.programs import LOCAL_CPMM_PROGRAM, LOCAL_VAULT_PROGRAM

from xorj_localnet.files import write_atomically

LOCAL_POLICY = f"""\
# What the signer of this world signs, whatever its owners allow. Every key must be there; docs/interfaces.md says what
# each one bounds. The hash of these bounds stands in every TradeSigned.
version = 1

[programs]
vault = "{LOCAL_VAULT_PROGRAM}"
swap = ["{LOCAL_CPMM_PROGRAM}"]

[trade]
value_micro_usd_max = 100_000_000_000
price_age_ms_max = 120_000
attempts_max = 4
expiry_slots_max = 300

[fee_payer]
trade_lamports_max = 2_000_000
minute_lamports_max = 50_000_000_000
day_lamports_max = 2_000_000_000_000

[caps.all]
minute = {{ trades_max = 200_000, value_micro_usd_max = 20_000_000_000_000 }}
day = {{ trades_max = 20_000_000, value_micro_usd_max = 2_000_000_000_000_000 }}

[caps.vault]
minute = {{ trades_max = 60, value_micro_usd_max = 1_000_000_000_000 }}
day = {{ trades_max = 5_000, value_micro_usd_max = 10_000_000_000_000 }}

[caps.mint]
minute = {{ trades_max = 200_000, value_micro_usd_max = 20_000_000_000_000 }}
day = {{ trades_max = 20_000_000, value_micro_usd_max = 2_000_000_000_000_000 }}

# Caps of single mints, instead of those above: [caps.mints.ADDRESS] with minute and day.
[caps.mints]
"""


def write_policy(path: Path) -> Path:
    """Writes the policy to `path`; raises OSError."""
    write_atomically(path, LOCAL_POLICY.encode())
    return path
