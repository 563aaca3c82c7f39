"""A key of migctl.yaml reaches all of its consumers: each is read by some module, and by those that have to act on it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

import migctl
from migctl.config import Settings, settings

ROOT = Path(migctl.__file__).parent

# Keys that more than one part has to act on, with the modules that hand them on.
SEVERAL = {
    "supabase.schema": {
        "cli/listening.py",
        "runtime/parts.py",
        "runtime/service.py",
        "transports/realtime/broadcast.py",
    },
    "realtime.live": {"cli/listening.py", "runtime/service.py", "transports/realtime/broadcast.py"},
    "fallback.hold_s": {"delivery/fallback.py", "server/routes/assignment.py"},
    "fallback.max_spread_s": {"delivery/fallback.py", "server/routes/assignment.py"},
    "fallback.to_realtime": {"server/routes/assignment.py"},
    "gateway.heartbeat_s": {"transports/__init__.py"},
}


def fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel], str]]:
    """Each key, of sections too, with the section that has it, and what it is called there."""
    for name, field in model.model_fields.items():
        key = f"{path}{field.alias or name}"
        kind = field.annotation
        yield key, model, name
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields(kind, f"{key}.")


def section_at(kind: type[BaseModel], name: str) -> type[BaseModel] | None:
    """What is behind an attribute of a section, where that is a section."""
    found = kind.model_fields.get(name)
    inner = found.annotation if found is not None else None
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


SECTIONS = {
    name: kind
    for name, kind in vars(settings).items()
    if isinstance(kind, type) and issubclass(kind, BaseModel)
}


class Reads(ast.NodeVisitor):
    """Which fields of which sections a module reads, by the annotations and assignments in it."""

    def __init__(self) -> None:
        self.known: dict[str, type[BaseModel]] = {"settings": Settings}
        self.found: set[tuple[type[BaseModel], str]] = set()

    def kind(self, node: ast.expr | None) -> type[BaseModel] | None:
        if isinstance(node, ast.Call):  # a section's own default, or load()
            node = node.func
            if isinstance(node, ast.Name):
                return Settings if node.id == "load" else SECTIONS.get(node.id)
            return None
        if isinstance(node, ast.BoolOp):
            return next((kind for value in node.values if (kind := self.kind(value))), None)
        if isinstance(node, ast.Name):
            return self.known.get(node.id)
        if isinstance(node, ast.Attribute):
            inner = self.kind(node.value)
            if inner is not None:
                return section_at(inner, node.attr)
            return self.known.get(node.attr)
        return None

    def note(self, target: ast.expr, kind: type[BaseModel] | None) -> None:
        name = target.id if isinstance(target, ast.Name) else getattr(target, "attr", None)
        if kind is not None and name is not None:
            self.known[name] = kind

    def annotated(self, annotation: ast.expr | None) -> type[BaseModel] | None:
        names = [node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)] if annotation else []
        return next((SECTIONS[name] for name in names if name in SECTIONS), None)

    def visit_arg(self, node: ast.arg) -> None:
        kind = self.annotated(node.annotation)
        if kind is not None:
            self.known[node.arg] = kind

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.note(node.target, self.annotated(node.annotation) or self.kind(node.value))
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for one, value in zip(target.elts, node.value.elts, strict=True):
                    self.note(one, self.kind(value))
            else:
                self.note(target, self.kind(node.value))
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        kind = self.kind(node.value)
        if kind is not None:
            self.read(kind, node.attr)
        self.generic_visit(node)

    def read(self, kind: type[BaseModel], name: str) -> None:
        if name == "model_dump":  # handed on whole, to a constructor that takes each by its name
            self.found |= {(kind, each) for each in kind.model_fields}
        elif isinstance(derived := inspect.getattr_static(kind, name, None), property):
            reads = Reads()
            reads.known = {"self": kind}
            reads.visit(ast.parse(textwrap.dedent(inspect.getsource(derived.fget))))  # type: ignore[arg-type]
            self.found |= reads.found
        else:
            self.found.add((kind, name))


def readers() -> dict[tuple[type[BaseModel], str], set[str]]:
    found: dict[tuple[type[BaseModel], str], set[str]] = defaultdict(set)
    for path in sorted(ROOT.rglob("*.py")):
        reads = Reads()
        text = path.read_text(encoding="utf-8")
        if "ettings" not in text and "Section" not in text:
            continue
        tree = ast.parse(text)
        reads.visit(tree)
        reads.visit(tree)  # what is assigned in __init__ is read in methods above it too
        for each in reads.found:
            found[each].add(path.relative_to(ROOT).as_posix())
    return found


READERS = readers()
KEYS = {key: READERS[section, name] for key, section, name in fields(Settings)}


@pytest.mark.parametrize("key", KEYS)
def test_key_is_read_by_some_module(key: str) -> None:
    assert KEYS[key], f"migctl.yaml has {key}, and nothing reads it"


@pytest.mark.parametrize("key", SEVERAL)
def test_key_reaches_each_of_its_consumers(key: str) -> None:
    assert KEYS[key] >= SEVERAL[key], f"{key} is read by {sorted(KEYS[key])}"
