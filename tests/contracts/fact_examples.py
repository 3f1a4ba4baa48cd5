"""One example of any fact, every field filled with a value that differs from its default."""

import dataclasses
import typing
from enum import IntEnum
from typing import Any

from xorj_core import facts
from xorj_core.facts import Fact

FACT_CLASSES: tuple[type[Any], ...] = typing.get_args(facts.Fact)
LENGTHS = {"command_id": 16, "key_id": 8, "signature": 64, "owner_signature": 64}


def example(cls: type[Any], seed: int = 1) -> Any:
    """An instance of a core dataclass whose fields all hold values derived from `seed`."""
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]
    return cls(**{name: _value(name, hints[name], seed + index) for index, name in enumerate(names)})


def examples() -> list[Fact]:
    """One example of every fact."""
    return [example(cls) for cls in FACT_CLASSES]


def _value(name: str, hint: Any, seed: int) -> Any:
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        return (_value(name, item, seed), _value(name, item, seed + 1))
    if dataclasses.is_dataclass(hint):
        return example(typing.cast(type[Any], hint), seed)
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return list(hint)[1]
    if hint is bytes:
        return bytes([seed % 255 + 1]) * LENGTHS.get(name, 32)
    return {bool: True, int: seed, str: f"text {seed}"}[hint]
