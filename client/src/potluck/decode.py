"""JSON → frozen dataclasses. Fields that a newer server added are ignored."""

from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from potluck.errors import UnexpectedAnswer

T = TypeVar("T")


def decode(kind: type[T], data: object, where: str = "answer") -> T:
    """`data`, parsed JSON, as an instance of the dataclass `kind`. Raises UnexpectedAnswer naming the field."""
    return cast(T, _value(kind, data, where))


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(kind)


def _value(kind: Any, data: object, where: str) -> object:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or kind is object:
        return data
    if origin in (Union, UnionType):
        if data is None and NoneType in arguments:
            return None
        return _value(next(one for one in arguments if one is not NoneType), data, where)
    if origin is tuple:
        if not isinstance(data, list):
            raise _wrong(where, "a list", data)
        return tuple(_value(arguments[0], one, f"{where}[{index}]") for index, one in enumerate(data))
    if origin is dict:
        if not isinstance(data, Mapping):
            raise _wrong(where, "an object", data)
        return {str(key): _value(arguments[1], one, f"{where}.{key}") for key, one in data.items()}
    if is_dataclass(kind):
        return _instance(cast(type[Any], kind), data, where)
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, kind):
        raise _wrong(where, kind.__name__, data)
    return data


def _instance(kind: type[Any], data: object, where: str) -> object:
    if not isinstance(data, Mapping):
        raise _wrong(where, "an object", data)
    hints = _hints(cast(Hashable, kind))
    values: dict[str, object] = {}
    for field in fields(kind):
        if field.name in data:
            values[field.name] = _value(hints[field.name], data[field.name], f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise _wrong(f"{where}.{field.name}", "a value", None)
    return kind(**values)


def _wrong(where: str, wanted: str, got: object) -> UnexpectedAnswer:
    return UnexpectedAnswer(
        f"the server's answer has {type(got).__name__} where {wanted} belongs",
        where=where,
        remedy="Check that the address is that of a Potluck server, and update the client: pip install -U potluck",
    )
