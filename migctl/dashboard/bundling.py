"""Bundling: the browser client as one ES module, without its comments: what a page loads, and what the npm package holds.

The sources stay modules that are read, checked and replayed one by one; a page would ask for each of them in turn, as it finds the
imports. Here each becomes a function that runs once, after those that it imports. Only the form that our sources have is understood
(an import on a line of its own, `export` before `class`, `function` or `const`), and anything else is refused: a mistake is found
where the package is tested, not in a page. Needs the standard library only: the npm package is written with it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

ENTRY = "client.js"

_IMPORT = re.compile(r"^import \{ ([\w, ]+) \} from '(\.[\w./]+)';\n", re.MULTILINE)
_HANDED_ON = re.compile(r"^export \{ ([\w, ]+) \} from '(\.[\w./]+)';\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (class|async function|function|const) (\w+)", re.MULTILINE)
# Comments of our sources: blocks of JSDoc, also within a line, and lines that are a comment and nothing else.
_BLOCK = re.compile(r"(?<=\n)[ \t]*/\*\*(?:[^*]|\*(?!/))*\*/[ \t]*\n|/\*\*(?:[^*]|\*(?!/))*\*/[ ]?")
_LINE = re.compile(r"^[ \t]*//[^\n]*\n", re.MULTILINE)
_EMPTY = re.compile(r"\n{2,}")


class NotOurForm(Exception):
    """A source is written in a way that this does not understand."""


def bundle(read: Callable[[str], str]) -> str:
    """The module. read: gives the text of a source, by its path below the dashboard's folder, such as `client/flow.js`."""
    bodies: dict[str, str] = {}
    _add(ENTRY, read, bodies, ())
    entry = bodies.pop(ENTRY)
    return "\n".join((*bodies.values(), entry))


def _add(path: str, read: Callable[[str], str], bodies: dict[str, str], above: tuple[str, ...]) -> None:
    """This source, after those that it imports."""
    if path in bodies:
        return
    if path in above:
        raise NotOurForm(f"{path} imports itself, by {' and '.join(above)}")
    text = stripped(read(path))
    for found in (*_IMPORT.finditer(text), *_HANDED_ON.finditer(text)):
        _add(_below(path, found[2]), read, bodies, (*above, path))
    bodies[path] = _entry(path, text) if path == ENTRY else _function(path, text)


def _entry(path: str, text: str) -> str:
    """What it hands on is what the module exports."""
    if _HANDED_ON.sub("", text).strip():
        raise NotOurForm(f"{path} does more than hand on")
    names = [name for found in _HANDED_ON.finditer(text) for name in found[1].split(", ")]
    return f"{_HANDED_ON.sub(lambda found: _taken(path, found), text).strip()}\nexport {{ {', '.join(names)} }};\n"


def _function(path: str, text: str) -> str:
    body = _IMPORT.sub(lambda found: _taken(path, found), text)
    names = [found[2] for found in _EXPORT.finditer(body)]
    body = _EXPORT.sub(r"\1 \2", body).strip()
    left = re.search(r"^(?:import|export)\b.*", body, re.MULTILINE)
    if left is not None:
        raise NotOurForm(f"{path}: {left[0]}")
    return f"const {_name(path)} = (() => {{\n{body}\nreturn {{ {', '.join(names)} }};\n}})();"


def _taken(path: str, found: re.Match[str]) -> str:
    return f"const {{ {found[1]} }} = {_name(_below(path, found[2]))};\n"


def _below(path: str, other: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), other))


def _name(path: str) -> str:
    return "$" + re.sub(r"\W", "_", path.removeprefix("client/").removesuffix(".js"))


def stripped(text: str) -> str:
    """A source without its comments; those at the end of a line stay, since `//` also stands in texts."""
    return _EMPTY.sub("\n", _LINE.sub("", _BLOCK.sub("", f"\n{text}"))).lstrip()
