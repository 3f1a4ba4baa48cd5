"""JSON whose numbers stay exact: read as int or Decimal, written digit by digit, never a float."""

import json
from decimal import Decimal
from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | Decimal | bool | None"


def loads(text: str | bytes) -> Json:
    """The value of a JSON text. Raises ValueError, also for NaN and Infinity."""
    value: Json = json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    return value


def dumps(value: Json) -> str:
    """A value as JSON text; a Decimal is written as a plain number with all its digits."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(dumps(item) for item in value) + "]"
    return json.dumps(value)


def _refuse(constant: str) -> Decimal:
    raise ValueError(f"{constant} is not a JSON number")
