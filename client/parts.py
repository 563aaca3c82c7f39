"""Which modules of migctl are in migctl-client: those that its public names need, by what they import.

They are the same files under the same names, so that an application changes nothing when it moves from one to the other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

# Imported inside functions, for what only a server does.
NOT_HERE = {
    "migctl.publisher.inprocess",
    "migctl.transports.realtime",
    "migctl.transports.websocket",
}


def files(top: Path) -> list[Path]:
    """What belongs into it, from the folder that has `migctl`."""
    sources = modules(top)
    return sorted({*sources.values(), Path("migctl/__init__.pyi"), Path("migctl/py.typed")})


def modules(top: Path) -> dict[str, Path]:
    """Modules by name: the public ones, and all that they import, in whatever function."""
    found: dict[str, Path] = {}
    waiting = ["migctl", *_where(top, "migctl").values()]
    while waiting:
        name = waiting.pop()
        path = _path(top, name)
        if path is None or name in found or name in NOT_HERE:
            continue
        found[name] = path
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        for name in imported(top / path):
            package, _, last = name.rpartition(".")
            waiting += [name, _where(top, package).get(last, package)]
    return found


def imported(path: Path) -> Iterator[str]:
    """Names that may be modules, in the order of their lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def _where(top: Path, package: str) -> dict[str, str]:
    """The modules from which it takes its names, where it imports them when they are first used."""
    path = top / Path(*package.split(".")) / "__init__.py"
    if not package.startswith("migctl") or not path.is_file():
        return {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_WHERE":
            found: dict[str, str] = ast.literal_eval(node.value)
            return found
    return {}


def _path(top: Path, name: str) -> Path | None:
    """Of one of ours."""
    stem = Path(*name.split("."))
    candidates = (stem.with_suffix(".py"), stem / "__init__.py") if name.startswith("migctl") else ()
    return next((path for path in candidates if (top / path).is_file()), None)
