"""Outside JSON, read strictly: exact numbers, no key twice, no float, no surprise in depth or size of a number."""

import json
from decimal import Decimal
from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | Decimal | bool | None"


class Malformed(ValueError):
    """The body is not what it must be; the text says where."""


def read(body: bytes) -> Json:
    """The value of a JSON body. Raises Malformed."""
    try:
        value: Json = json.loads(
            body, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_object_without_twins
        )
    except Malformed:
        raise
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Malformed(f"not JSON: {type(error).__name__}: {str(error)[:200]}") from error
    return value


def as_object(value: Json, where: str) -> dict[str, Json]:
    """Raises Malformed unless it is an object."""
    if not isinstance(value, dict):
        raise Malformed(f"{where} is not an object")
    return value


def as_list(value: Json, where: str, longest: int) -> list[Json]:
    """Raises Malformed unless it is a list of at most `longest` items."""
    if not isinstance(value, list) or len(value) > longest:
        raise Malformed(f"{where} is not a list of at most {longest}")
    return value


def as_whole(value: Json, where: str, lowest: int, highest: int) -> int:
    """Raises Malformed unless it is a whole number within both bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise Malformed(f"{where} is not a whole number from {lowest} to {highest}")
    return value


def _no_constant(text: str) -> Decimal:
    raise Malformed(f"{text} is no JSON number")


def _object_without_twins(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("an object has the same key twice")
    return found
