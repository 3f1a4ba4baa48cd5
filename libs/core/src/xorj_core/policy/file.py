"""Reads the signer's policy file: TOML, version 1; docs/interfaces.md lists its keys.

1. Every key must be there, and no other: a bound that is forgotten or misspelt refuses the file, naming the key.
2. Integers only, none negative; addresses are base58 of 32 bytes.
"""

import tomllib
from collections.abc import Mapping

from xorj_core.base58 import address_bytes
from xorj_core.policy.limits import (
    ATTEMPTS_MAX,
    EXPIRY_SLOTS_MAX,
    Cap,
    MintCaps,
    OutflowCaps,
    PolicyLimits,
    WindowCaps,
)

POLICY_VERSION = 1
_BOUND_MAX = 2**62
"""Sums of a window stay within the ledger's 64 bits."""


class PolicyInvalid(ValueError):
    """The text is no policy of this version; the message names the key."""


def parse_policy(text: str) -> PolicyLimits:
    """The bounds in a policy file's text; raises `PolicyInvalid`."""
    try:
        top = _Table("", tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PolicyInvalid(f"not TOML: {error}") from error
    if top.integer("version") != POLICY_VERSION:
        raise PolicyInvalid(f"version: this signer reads version {POLICY_VERSION}")
    programs, trade, fee, caps = (top.table(name) for name in ("programs", "trade", "fee_payer", "caps"))
    limits = PolicyLimits(
        vault_program=programs.address("vault"),
        swap_programs=programs.addresses("swap"),
        fee_lamports_max=fee.integer("trade_lamports_max"),
        trade_value_micro_usd_max=trade.integer("value_micro_usd_max"),
        price_age_ms_max=trade.integer("price_age_ms_max"),
        attempts_max=trade.integer("attempts_max", 1, ATTEMPTS_MAX),
        expiry_slots_max=trade.integer("expiry_slots_max", 1, EXPIRY_SLOTS_MAX),
        all_vaults=_windows(caps.table("all")),
        each_vault=_windows(caps.table("vault")),
        each_mint=_windows(caps.table("mint")),
        named_mints=_named_mints(caps.table("mints")),
        outflow=OutflowCaps(fee.integer("minute_lamports_max"), fee.integer("day_lamports_max")),
    )
    for table in (top, programs, trade, fee, caps):
        table.finish()
    return limits


def _windows(table: "_Table") -> WindowCaps:
    caps = WindowCaps(_cap(table.table("minute")), _cap(table.table("day")))
    table.finish()
    return caps


def _cap(table: "_Table") -> Cap:
    cap = Cap(table.integer("trades_max"), table.integer("value_micro_usd_max"))
    table.finish()
    return cap


def _named_mints(table: "_Table") -> tuple[MintCaps, ...]:
    named = []
    for name in table.names():
        try:
            mint = address_bytes(name)
        except ValueError as error:
            raise PolicyInvalid(f"{table.path(name)}: {error}") from error
        named.append(MintCaps(mint, _windows(table.table(name))))
    return tuple(sorted(named, key=lambda item: item.mint))


class _Table:
    """One table of the file; remembers what has been asked for."""

    def __init__(self, path: str, values: Mapping[str, object]) -> None:
        self._path = path
        self._values = values
        self._asked: set[str] = set()

    def path(self, name: str) -> str:
        """The key with the tables around it, as an operator looks for it."""
        return f"{self._path}.{name}" if self._path else name

    def names(self) -> tuple[str, ...]:
        """Every key."""
        return tuple(self._values)

    def integer(self, name: str, least: int = 0, most: int = _BOUND_MAX) -> int:
        value = self._value(name)
        if type(value) is not int or not least <= value <= most:
            raise PolicyInvalid(f"{self.path(name)}: an integer from {least} to {most} is expected")
        return value

    def address(self, name: str) -> bytes:
        return _address(self.path(name), self._value(name))

    def addresses(self, name: str) -> tuple[bytes, ...]:
        value = self._value(name)
        if not isinstance(value, list) or not value:
            raise PolicyInvalid(f"{self.path(name)}: a list of addresses is expected")
        found = tuple(_address(self.path(name), item) for item in value)
        if len(set(found)) != len(found):
            raise PolicyInvalid(f"{self.path(name)}: an address is listed twice")
        return tuple(sorted(found))

    def table(self, name: str) -> "_Table":
        value = self._value(name)
        if not isinstance(value, dict):
            raise PolicyInvalid(f"{self.path(name)}: a table is expected")
        return _Table(self.path(name), value)

    def finish(self) -> None:
        """Raises `PolicyInvalid` for a key that nobody has asked for."""
        unknown = [name for name in self._values if name not in self._asked]
        if unknown:
            raise PolicyInvalid(f"{self.path(unknown[0])}: unknown key")

    def _value(self, name: str) -> object:
        self._asked.add(name)
        if name not in self._values:
            raise PolicyInvalid(f"{self.path(name)}: is not set")
        return self._values[name]


def _address(path: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise PolicyInvalid(f"{path}: an address is expected")
    try:
        return address_bytes(value)
    except ValueError as error:
        raise PolicyInvalid(f"{path}: {error}") from error
