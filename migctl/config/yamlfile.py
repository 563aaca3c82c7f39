"""YAML with line numbers, so that an error can name file, line and key.

What YAML lets pass in silence is a problem here: a key that is there twice, one that is read as no text, aliases
that grow without end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from migctl.config.files import refuse_foreign
from migctl.config.problems import Faulty, Problem
from migctl.config.warned import warn
from migctl.printable import brief

Path_ = tuple[str | int, ...]

# Path of a key by its old name, to its name now.
Spellings = Mapping[tuple[str, ...], str]

# Nobody writes more by hand; a file that a program writes may have MOST_BYTES.
MOST_BYTES = 16 << 20

# Of sections and lists, one in another. No file of ours has ten.
MOST_DEPTH = 64

# Beyond it are numbers that what we are made of can't hold: SQLite, PostgreSQL, time.
_MOST = (1 << 63) - 1

_OCTAL = re.compile(r"[-+]?0[0-7_]*[0-7][0-7_]*")
_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """With the line of a value that is none of its kind: a date in a 13th month, a number of 5,000 digits, `!!int ""`."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Not beyond a depth: what the scanner does for each token grows with it."""
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise RecursionError
        made: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return made

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            made: Any = super().construct_object(node, deep)
            if type(made) is int and abs(made) > _MOST:
                raise ValueError(f"{brief(made)} is larger than any number here may be")
            if type(made) is str and not made.isascii():
                # JSON writes one character as two halves, and YAML reads each of them alone.
                return made.encode("utf-16", "surrogatepass").decode("utf-16")
            return made
        except UnicodeDecodeError:
            what = f"{brief(node.value)} has half a character in it, which nothing can store"
        except (ValueError, OverflowError) as error:
            what = str(error)
        except (LookupError, TypeError, AttributeError):
            what = f"{brief(node.value)} is no {node.tag.rpartition(':')[2]}"
        raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)


def value_of(text: str) -> Any:
    """What a text stands for where a file has a value. Raises ValueError that says in one line what is wrong with it."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        _check_tree(node)
        if isinstance(node, yaml.ScalarNode) and (two := _read_two_ways(node)) is not None:
            raise ValueError(f"it is {two[0]} to some readers of YAML, and {two[1]} to others: {two[2]}")
        return loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _check_tree(root: yaml.Node | None) -> None:
    """Raises ValueError where a node comes twice: what few aliases stand for may have no end."""
    seen: set[int] = set()
    left: list[Any] = [root]
    while left:
        node = left.pop()
        if id(node) in seen:
            raise ValueError("an alias (`*`) can't stand there")
        seen.add(id(node))
        inner = node.value if isinstance(node, yaml.CollectionNode) else ()
        left += [one for item in inner for one in (item if isinstance(item, tuple) else (item,))]


def _read_two_ways(node: yaml.ScalarNode) -> tuple[str, str, str] | None:
    """Of a plain number that YAML 1.1 reads otherwise than 1.2: what each makes of it, and the way out."""
    text = node.value
    if node.style is not None or not node.tag.endswith((":int", ":float")):
        return None
    if _OCTAL.fullmatch(text):
        plain, octal = (
            text.replace("_", "").lstrip("+-0") or "0",
            str(int(text.replace("_", "").lstrip("+-"), 8)),
        )
        return octal, plain, f'write {plain}, or {octal} where it was meant by eights, or "{text}" for a text'
    if ":" in text:
        return "a number to the base of 60", "a text", f'write the number, or "{text}" for a text'
    return None


class Document:
    """A YAML mapping and the line on which each of its keys stands.

    problems: keys that are there twice or are read as no text; whoever uses the document raises them with those of its own.
    """

    def __init__(self, name: str, text: str) -> None:
        """Raises Faulty where it is no YAML mapping."""
        self.name = name
        self.problems: list[Problem] = []
        self._lines: dict[Path_, int] = {}
        # What a document without aliases can hold, and something for these.
        self._nodes_left = len(text) + 100_000
        try:
            loader = _Loader(text.removeprefix("\ufeff"))
            node = loader.get_single_node()
            if node is not None:
                self._walk(node, (), ())
            data: object = loader.construct_document(node) if node is not None else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = " ".join(str(one) for one in (error.context, error.problem) if one)
            begun = error.context_mark
            if mark and begun and begun.line != mark.line:  # what is open is found only where it can't go on
                problem += f" (begun in line {begun.line + 1})"
            raise self._not_yaml(mark.line + 1 if mark else 1, problem) from None
        except yaml.reader.ReaderError as error:
            raise self._not_yaml(text.count("\n", 0, error.position) + 1, str(error.reason)) from None
        except yaml.YAMLError as error:
            raise self._not_yaml(1, str(error)) from None
        except RecursionError:
            raise self._faulty(1, "is nested too deeply", "write it flatter") from None
        self.is_empty = data is None
        if data is not None and not isinstance(data, dict):
            kind = "a list" if isinstance(data, list) else brief(data)
            raise self._faulty(
                self.line(()),
                f"expected keys and values, got {kind}",
                "write `key: value` lines; see configs/migctl.yaml",
            )
        self.data: dict[str, Any] = data or {}

    @classmethod
    def read(cls, path: Path, *, most_bytes: int = MOST_BYTES, ours: bool = False) -> Document:
        """Read a file. Raises Faulty where it can't be read or is no YAML mapping.

        ours: nobody else may have written it. Raises Refused.
        """
        name = str(path)
        try:
            with path.open("rb") as file:
                if ours:
                    refuse_foreign(path, file.fileno())
                content = file.read(most_bytes + 1)
            if len(content) > most_bytes:
                what = f"is larger than {most_bytes >> 20} MiB"
                raise Faulty([Problem(name, None, "", what, "name a file of settings")])
            return cls(name, content.decode())
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            what = f"not UTF-8 at byte {error.start}"
            raise Faulty([Problem(name, line, "", what, "save the file as UTF-8")]) from None
        except OSError as error:
            what = str(error.strerror)
            if path.is_symlink() and not path.exists():
                what = f"is a link to {path.readlink()}, which is not there"
            raise Faulty([Problem(name, None, "", what, "name a file that can be read")]) from None

    def _walk(self, node: yaml.Node, path: Path_, above: tuple[int, ...]) -> None:
        self._nodes_left -= 1
        line = node.start_mark.line + 1
        if id(node) in above or self._nodes_left < 0:
            raise self._faulty(line, "an alias (`*`) in it has no end", "write out what it stands for", path)
        if isinstance(node, yaml.ScalarNode) and (two := _read_two_ways(node)) is not None:
            what, do = (
                f"{brief(node.value)} is {two[0]} to some readers of YAML, and {two[1]} to others",
                two[2],
            )
            self.problems.append(Problem(self.name, line, ".".join(map(str, path)), what, do))
        self._lines.setdefault(path, line)
        inner = (*above, id(node))
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, value in node.value:
                if key.tag == _MERGE:
                    for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                        self._walk_merged(one, path, inner)
                    continue
                at = (*path, str(key.value))
                self._check_key(key, at, seen)
                self._lines[at] = key.start_mark.line + 1
                self._walk(value, at, inner)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._walk(value, (*path, index), inner)

    def _walk_merged(self, node: yaml.Node, path: Path_, above: tuple[int, ...]) -> None:
        """What `<<` brings; keys of one's own win, wherever they stand."""
        lines, self._lines = self._lines, {}
        self._walk(node, path, above)
        for at, line in self._lines.items():
            lines.setdefault(at, line)
        self._lines = lines

    def _check_key(self, key: yaml.Node, at: Path_, seen: dict[str, int]) -> None:
        name, line = str(key.value), key.start_mark.line + 1
        where = ".".join(map(str, at))
        if isinstance(key, yaml.ScalarNode) and key.tag != _TEXT:
            read_as = yaml.load(name, _Loader) if key.tag.startswith("tag:yaml.org,2002:") else name
            what, do = f"YAML reads this key as {brief(read_as)}", f'put it in quotes: "{name}"'
            self.problems.append(Problem(self.name, line, where, what, do))
        if name in seen:
            what = f"is there twice, first on line {seen[name]}; YAML would take the second in silence"
            self.problems.append(Problem(self.name, line, where, what, "take one of the two out"))
        seen.setdefault(name, line)

    def respell(self, spellings: Spellings) -> None:
        """Read keys by their old names as those that they are now, and warn of each. One that is there by both is a problem."""
        for old, name in spellings.items():
            section: Any = self.data
            for part in old[:-1]:
                section = section.get(part) if isinstance(section, dict) else None
            if not isinstance(section, dict) or old[-1] not in section:
                continue
            value, key, line = section.pop(old[-1]), ".".join(old), self.line(old)
            if name in section:
                what = f"this is the old name of {name}, which is there too"
                do = f"keep {name}, and take {old[-1]} out"
                self.problems.append(Problem(self.name, line, key, what, do))
                continue
            warn(f"{self.name}:{line}: {key} is called {name} now; the old name is still read")
            section[name] = value
            for path in [path for path in self._lines if path[: len(old)] == old]:
                self._lines[(*old[:-1], name, *path[len(old) :])] = self._lines[path]

    def part(self, path: Path_) -> Document:
        """What stands below this key, as a document of its own that knows its lines; it has no problems of its own."""
        made = object.__new__(Document)
        made.name, made.problems = self.name, []
        size = len(path)
        made._lines = {at[size:]: line for at, line in self._lines.items() if at[:size] == path}
        made._lines.setdefault((), self.line(path))
        below: Any = self.data
        for one in path if self.has(path) else ():
            below = below[one]
        made.data = below if isinstance(below, dict) and below is not self.data else {}
        made.is_empty = not made.data
        return made

    def has(self, path: Path_) -> bool:
        """This key is written in the file."""
        return path in self._lines

    def line(self, path: Path_) -> int:
        """The line of a key, or of the nearest one above it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _not_yaml(self, line: int, problem: str) -> Faulty:
        do = "mend the line; indentation and colons are the usual cause"
        if "'\\t'" in problem:
            do = "indent with blanks: a tab can't stand there"
        return self._faulty(line, f"not YAML: {' '.join(problem.split())}", do)

    def _faulty(self, line: int, what: str, do: str, path: Path_ = ()) -> Faulty:
        return Faulty([Problem(self.name, line, ".".join(map(str, path)), what, do)])
