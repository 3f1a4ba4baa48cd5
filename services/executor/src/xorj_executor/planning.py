"""Builds the exact bytes of an attempt: compute budget, then one `bot_trade` around the venue's swap.

1. The only signer is the bot authority, which pays the fee.
2. The amounts are the intent's; the expiry slot is bounded by the intent's and by the program's.
3. A message that does not fit into one packet is refused before it is simulated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from xorj_core.facts import AttemptPlanned, LookupTable, TradeIntended
from xorj_core.policy.limits import EXPIRY_SLOTS_MAX
from xorj_solana.vault import MintPlaces, TradeOrder, bot_trade, with_accounts_hash

from xorj_executor.jupiter import Route
from xorj_executor.ports import Blockhash, Simulated

PACKET_BYTES_MAX: Final = 1232
SIGNATURE_BYTES: Final = 1 + 64  # count and the one signature
UNITS_MAX: Final = 1_400_000


class Unplannable(ValueError):
    """The route cannot become a message."""


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """Bounds of the executor's settings."""

    attempt_slots: int
    unit_price_micro_lamports_min: int
    unit_price_micro_lamports_max: int


@dataclass(frozen=True, slots=True)
class Places:
    """Where a vault's trade takes place."""

    program: Pubkey  # the vault program
    bot_authority: Pubkey
    place_in: MintPlaces
    place_out: MintPlaces


@dataclass(frozen=True, slots=True)
class Budget:
    """What the transaction asks of the cluster."""

    units: int
    unit_price_micro_lamports: int


def expiry_slot(intended: TradeIntended, current_slot: int, limits: PlanLimits) -> int:
    """The last slot in which an attempt planned now may execute."""
    return min(current_slot + min(limits.attempt_slots, EXPIRY_SLOTS_MAX), intended.expiry_slot)


def clamp_price(asked: int, attempt: int, limits: PlanLimits) -> int:
    """Price per compute unit: what recent slots asked, doubled with each further attempt, within the bounds."""
    low, high = limits.unit_price_micro_lamports_min, limits.unit_price_micro_lamports_max
    return min(max(asked, low) << (attempt - 1), high)


def units_limit(simulated_units: int) -> int:
    """Compute limit for a simulated use: a fifth more, rounded up."""
    return min(simulated_units + -(-simulated_units // 5), UNITS_MAX)


def build_message(
    intended: TradeIntended, route: Route, places: Places, blockhash: bytes, expiry: int, budget: Budget
) -> MessageV0:
    """The message with its accounts hash; raises Unplannable."""
    order = TradeOrder(
        seq=intended.trade_seq,
        intent_id=intended.intent_id,
        amount_in_max=intended.amount_in_base_units,
        amount_out_min=intended.amount_out_min_base_units,
        expiry_slot=expiry,
    )
    tables = [AddressLookupTableAccount(key, list(addresses)) for key, addresses in route.lookup_tables]
    # solders raises its own kinds of errors for what cannot be compiled.
    try:
        trade = bot_trade(
            places.program,
            vault=Pubkey(intended.vault),
            bot_authority=places.bot_authority,
            order=order,
            place_in=places.place_in,
            place_out=places.place_out,
            swap=route.swap,
        )
        instructions = [
            set_compute_unit_limit(budget.units),
            set_compute_unit_price(budget.unit_price_micro_lamports),
            trade,
        ]
        message = MessageV0.try_compile(places.bot_authority, instructions, tables, Hash(blockhash))
        message = with_accounts_hash(message, places.program, dict(route.lookup_tables))
    except Exception as error:
        raise Unplannable(f"{type(error).__name__}: {error}") from error
    size = len(to_bytes_versioned(message)) + SIGNATURE_BYTES
    if size > PACKET_BYTES_MAX:
        raise Unplannable(f"the transaction has {size} bytes, at most {PACKET_BYTES_MAX}")
    if message.header.num_required_signatures != 1:
        raise Unplannable("the transaction wants another signature")
    return message


def plan_of(
    intended: TradeIntended,
    attempt: int,
    message: MessageV0,
    route: Route,
    latest: Blockhash,
    expiry: int,
    budget: Budget,
    simulated: Simulated,
) -> AttemptPlanned:
    """The fact of a message that simulated well."""
    return AttemptPlanned(
        intent_id=intended.intent_id,
        trade_id=intended.trade_id,
        vault=intended.vault,
        trade_seq=intended.trade_seq,
        attempt=attempt,
        message=to_bytes_versioned(message),
        lookup_tables=_used_tables(message, route.lookup_tables),
        blockhash=latest.blockhash,
        last_valid_block_height=latest.last_valid_block_height,
        expiry_slot=expiry,
        compute_unit_limit=budget.units,
        compute_unit_price_micro_lamports=budget.unit_price_micro_lamports,
        simulated_amount_out_base_units=simulated.amount_out_base_units,
        simulated_units=simulated.units,
        planned_slot=latest.context_slot,
    )


def _used_tables(message: MessageV0, tables: Sequence[tuple[Pubkey, tuple[Pubkey, ...]]]) -> tuple[LookupTable, ...]:
    used = {lookup.account_key for lookup in message.address_table_lookups}
    return tuple(LookupTable(bytes(key), tuple(bytes(a) for a in found)) for key, found in tables if key in used)
