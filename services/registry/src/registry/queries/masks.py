"""Read masks: which fields of an answer are wanted, by their paths."""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from registry.domain.refusals import InvalidField

Tree = dict[str, "Tree"]
"""Field → what is wanted of it; nothing further: all."""
EVERYTHING: Tree = {}
MOST_PATHS = 200


def tree_of(mask: FieldMask, wanted: Descriptor) -> Tree:
    """Raises InvalidField for a path that the message does not have; it names the fields that there are."""
    if len(mask.paths) > MOST_PATHS:
        raise InvalidField("read_mask", f"read_mask has {len(mask.paths)} paths; at most {MOST_PATHS} are read")
    tree: Tree = {}
    for path in mask.paths:
        if path != "*":
            _plant(tree, path, wanted)
    return EVERYTHING if "*" in mask.paths else tree


def keep(message: Message, tree: Tree) -> None:
    """Clear every field that is not wanted, in messages of lists too."""
    if not tree:
        return
    for field, value in message.ListFields():
        if field.name not in tree:
            message.ClearField(field.name)
        elif tree[field.name]:
            for one in value if field.is_repeated else (value,):
                keep(one, tree[field.name])


def _plant(tree: Tree, path: str, wanted: Descriptor) -> None:
    names = path.split(".")
    for place, name in enumerate(names):
        field: FieldDescriptor | None = wanted.fields_by_name.get(name)
        if field is None:
            raise InvalidField(
                "read_mask",
                f"read_mask: {wanted.name} has no field {name!r} (path {path!r}); it has: "
                + ", ".join(sorted(wanted.fields_by_name)),
            )
        if place == len(names) - 1:
            tree[name] = {}  # all of it, whatever else of it is asked for
            return
        inner: Any = field.message_type
        if inner is None or inner.GetOptions().map_entry:
            raise InvalidField("read_mask", f"read_mask: {name!r} in path {path!r} has no fields of its own")
        if name in tree and not tree[name]:
            return
        tree, wanted = tree.setdefault(name, {}), inner
