"""Whatever ingest may say has a Chinese sentence: collected from its code, so that a new one is found."""

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from gateway.pages.sentences import in_language
from ingest.confined import finding, known

SOURCES = Path(__file__).parents[3] / "services/ingest/src"
# Who takes sentences, and from which argument on: the reason, then the remedy.
SAYING = {"Unfit": 1, "Refused": 1, "Rejected": 1, "fails": 1, "note": 3, "_note": 2}
# What is put in where the code puts values in: a number, which may also be a name; a part; a sentence.
VALUES = ("7", "forces", "there is no energy", "Check the files.")


@dataclass(frozen=True)
class Said:
    """A sentence in parts, between which values stand; where it is."""

    parts: tuple[str, ...]
    place: str

    def filled(self) -> Iterator[str]:
        """All values alike, or the last one another."""
        for value in VALUES:
            yield value.join(self.parts)
            yield value.join(("7".join(self.parts[:-1]), self.parts[-1]))


def collected() -> list[Said]:
    found = []
    for path in sorted(SOURCES.rglob("*.py")):
        module = ".".join(path.relative_to(SOURCES).with_suffix("").parts)
        tree = ast.parse(path.read_text())
        for function in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
            own = list(_own(function))
            for node in own:
                for argument in _arguments(node):
                    found += [
                        Said(parts, f"{path.name}:{node.lineno}")  # type: ignore[attr-defined]
                        for parts in _texts(argument, own, module)
                    ]
    return found


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """What stands in it, and not in functions within."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef):
            waiting += ast.iter_child_nodes(node)


def _arguments(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in SAYING:
            yield from node.args[SAYING[name] : SAYING[name] + 2]
        yield from (one.value for one in node.keywords if one.arg in ("reason", "remedy"))
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 3:
        first, *others = node.value.elts
        # A refusal: rule, reason, remedy.
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and "-" in first.value:
            yield from others


def _texts(node: ast.expr, own: Iterable[ast.AST], module: str) -> Iterator[tuple[str, ...]]:
    """Every text that the expression may be; none where it is made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield (node.value,)
    elif isinstance(node, ast.JoinedStr):
        pieces = (list(_pieces(value, own, module)) for value in node.values)
        for chosen in product(*pieces):
            yield _joined(chosen)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, own, module)
        yield from _texts(node.orelse, own, module)
    elif isinstance(node, ast.BinOp):
        for both in product(_texts(node.left, own, module), _texts(node.right, own, module)):
            yield _joined(both)
    elif isinstance(node, ast.Name):
        assigned = [
            one.value
            for one in own
            if isinstance(one, ast.Assign) and any(getattr(target, "id", "") == node.id for target in one.targets)
        ]
        for value in assigned:
            yield from _texts(value, own, module)
        if not assigned and isinstance(constant := getattr(importlib.import_module(module), node.id, None), str):
            yield (constant,)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        outer = getattr(importlib.import_module(module), node.value.id, None)
        if isinstance(constant := getattr(outer, node.attr, None), str):
            yield (constant,)


def _pieces(node: ast.expr, own: Iterable[ast.AST], module: str) -> Iterator[tuple[str, ...]]:
    """What a part of an f-string puts in: words that are written next to it, or a value."""
    if isinstance(node, ast.FormattedValue):
        known = list(_texts(node.value, own, module)) if isinstance(node.value, ast.Name | ast.IfExp) else []
        yield from known or [("", "")]
    else:
        yield from _texts(node, own, module)


def _joined(texts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    made = [""]
    for first, *others in texts:
        made[-1] += first
        made += others
    return tuple(made)


def chinese(text: str) -> bool:
    return all(known for _, known in in_language("zh", text))


def test_every_sentence_of_ingest_is_said_in_chinese() -> None:
    sentences = {"{}".join(one.parts): one for one in collected() if any(part.strip() for part in one.parts)}
    assert len(sentences) > 200
    # One that puts in a word of two, which no value above is.
    del sentences["{} of {} {} failed, more than {}; the first is {}: {}"]
    for what in ("calculations", "frames"):
        assert chinese(f"3 of 4 {what} failed, more than 50%; the first is a/b: there is no energy")
    english = [(one.place, text) for text, one in sentences.items() if not any(map(chinese, one.filled()))]
    assert english == []


def test_a_new_sentence_would_be_found() -> None:
    """The collector sees them in every form in which they are written."""
    code = """
def f(x, n):
    reason = f"the frame {n} is " + ("odd" if x else "even")
    raise Unfit("odd", f"{reason} now", "Turn it round.")
def g():
    def inner():
        return "no-way", "it is not", "Make it so."
    one.fails("x", "it stopped", remedy="Go on.")
"""
    tree = ast.parse(code)
    found = set()
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        own = list(_own(function))
        for node in own:
            for argument in _arguments(node):
                found |= {"{}".join(parts) for parts in _texts(argument, own, "ingest.domain")}
    assert sorted(found) == [
        "Go on.", "Make it so.", "Turn it round.", "it is not", "it stopped", "the frame {} is even now",
        "the frame {} is odd now",
    ]  # fmt: skip
    assert not chinese("Turn it round.")


def test_what_files_look_like_is_said_in_chinese_for_every_format() -> None:
    told = {name: finding._because(name, "certain", count) for name in known.FORMATS for count in (1, 2)}
    other = finding.looks_like("vasp/outcar", 3)
    for name, because in told.items():
        for ending in (".", f". {other}, too."):
            for before in ("", "no deepmd/npy calculation is in the archive; run/b.out looks like x. "):
                text = f"{before}{finding.looks_like(name, 2)}: {because}{ending}"
                said = "".join(piece for piece, _ in in_language("zh", text))
                left = re.findall(r"\b(?:no|looks?|like|each|it|is|names|its|with|next|the|too|an)\b", said)
                assert not left, said
