"""The bytes of a vault's state in its table: a private form that any build may discard and rebuild from the log.

1. Reading what was written gives the same state.
2. Bytes of another form raise `UnknownForm`: the table must then be rebuilt, never guessed at.
"""

import dataclasses
import json
from typing import Any, Final

from xorj_reconciler.state import Answer, SeenDue, SeenEnd, SeenIntent, SeenRefusal, VaultState

FORM: Final = 1

_PARTS: Final = {"intent": SeenIntent, "end": SeenEnd, "refusal": SeenRefusal, "due": SeenDue, "answer": Answer}


class UnknownForm(ValueError):
    """The bytes were written by a build with another form."""


def encode_state(state: VaultState) -> bytes:
    """JSON with bytes as hexadecimal."""
    return json.dumps([FORM, _plain(state)], separators=(",", ":")).encode()


def decode_state(data: bytes) -> VaultState:
    """The state in `data`; raises `UnknownForm`."""
    if not data.startswith(b"[%d," % FORM):
        raise UnknownForm(f"begins with {data[:8]!r}, this build knows form {FORM}")
    try:
        _, fields = json.loads(data)
        parts = {name: _part(cls, fields[name]) for name, cls in _PARTS.items()}
        return VaultState(
            partition=fields["partition"],
            folded=tuple((topic, offset) for topic, offset in fields["folded"]),
            frozen_on=tuple(fields["frozen_on"]),
            settings_fact_id=bytes.fromhex(fields["settings_fact_id"]),
            settings_version=fields["settings_version"],
            **parts,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UnknownForm(f"not a vault state: {error}") from error


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


def _part(cls: Any, fields: dict[str, Any] | None) -> Any:
    if fields is None:
        return None
    return cls(**{field.name: _read(field.name, fields[field.name]) for field in dataclasses.fields(cls)})


def _read(name: str, value: Any) -> Any:
    if name == "causes":
        return tuple(bytes.fromhex(item) for item in value)
    return bytes.fromhex(value) if name.endswith("_id") else value
