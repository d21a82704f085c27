"""Whether a JSON Schema still keeps what an earlier one promised to readers of both old and new events."""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]


def broken(old: Schema, new: Schema) -> list[str]:
    """What a reader of `old` would stumble over; nothing when `new` only grows."""
    return list(_broken("", old, new, old, new))


def _broken(path: str, old: Schema, new: Schema, old_root: Schema, new_root: Schema) -> Iterator[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    if _kinds(old, old_root) != _kinds(new, new_root):
        yield f"{path or '(the event)'}: {_kinds(old, old_root)} became {_kinds(new, new_root)}"
        return
    kept, now = old.get("properties", {}), new.get("properties", {})
    for name, schema in kept.items():
        where = f"{path}.{name}".lstrip(".")
        if name not in now:
            yield f"{where}: removed"
            continue
        if (name in old.get("required", ())) != (name in new.get("required", ())):
            yield f"{where}: {'no longer' if name in old.get('required', ()) else 'now'} required"
        yield from _broken(where, schema, now[name], old_root, new_root)
    for name in sorted(set(now) - set(kept)):
        if name in new.get("required", ()):
            yield f"{path}.{name}: new and required; events that were sent before lack it".lstrip(".")
    for word in ("items", "additionalProperties"):
        if isinstance(old.get(word), dict):
            yield from _broken(f"{path}[]", old[word], new.get(word) or {}, old_root, new_root)
    for before, after in zip(old.get("anyOf", ()), new.get("anyOf", ()), strict=True):
        yield from _broken(path, before, after, old_root, new_root)


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _kinds(schema: Schema, root: Schema) -> tuple[str, ...]:
    """What values may be: types, formats and closed lists of words, in the order of alternatives."""
    if "anyOf" in schema:
        return tuple(kind for one in schema["anyOf"] for kind in _kinds(_resolved(one, root), root))
    closed = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    parts = [str(schema.get("type", "any")), *([schema["format"]] if "format" in schema else []), *map(str, closed)]
    return (" ".join(parts),)
