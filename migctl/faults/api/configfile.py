"""Toxiproxy's JSON file of proxies, and a proxy as one word; each mistake with file, line and key."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from migctl.config.problems import Faulty, Problem
from migctl.config.validating import validate
from migctl.config.yamlfile import MOST_BYTES, Document, Path_
from migctl.errors import Usage
from migctl.faults.addresses import address
from migctl.faults.api.documents import NewProxy, NewToxic, Refusal, toxic_of
from migctl.faults.api.proxies import upstream
from migctl.faults.api.serving import Wanted
from migctl.faults.toxics import KINDS

_LIST = "proxies"
_DO = 'write [{"name": "redis", "listen": "127.0.0.1:26379", "upstream": "127.0.0.1:6379"}]'


class _Toxic(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: str = Field(description=f"one of {', '.join(KINDS)}")
    attributes: dict[str, int] = Field(default={}, description="whole numbers, by the names of the type")
    stream: str = Field(default="downstream", description="upstream or downstream")
    toxicity: float = Field(default=1.0, description="a probability, from 0 to 1")
    name: str = Field(default="", description="a name; by default TYPE_STREAM")


class _Proxy(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, description="the proxy's name")
    upstream: str = Field(min_length=1, description="the server behind it, HOST:PORT")
    listen: str = Field(default="", description="where it listens, 127.0.0.1:PORT; by default a free port")
    enabled: StrictBool = Field(default=True, description="true or false")
    toxics: list[_Toxic] = Field(default=[], description="a list of toxics that are there from the start")


class _File(BaseModel):
    proxies: list[_Proxy]


def read_config(path: Path, *, elsewhere: bool) -> list[Wanted]:
    """The proxies of a file. elsewhere: their upstreams may be other machines. Raises Faulty, with all that is wrong."""
    data, document = _read(path)
    file = validate(_File, {_LIST: data}, document)
    problems: list[Problem] = []
    wanted: list[Wanted] = []
    names: dict[str, int] = {}
    for index, proxy in enumerate(file.proxies):
        at: Path_ = (_LIST, index)
        line = document.line((*at, "name"))
        if proxy.name in names:
            what = f"{proxy.name!r} is there twice, first on line {names[proxy.name]}"
            problems.append(_problem(document, (*at, "name"), what, "give one of the two another name"))
        names.setdefault(proxy.name, line)
        problems += _wrong_in(proxy, document, at, elsewhere)
        toxics = [
            NewToxic(one.type, dict(one.attributes), one.stream, one.toxicity, one.name)
            for one in proxy.toxics
        ]
        new = NewProxy(proxy.name, proxy.listen, proxy.upstream, proxy.enabled, toxics)
        wanted.append(Wanted(new, f"{document.name}:{document.line((*at, 'listen'))}: "))
    if problems:
        raise Faulty(problems)
    return wanted


def named(text: str) -> Wanted:
    """A proxy as `NAME=LISTEN,UPSTREAM`. Raises Usage."""
    name, equals, rest = text.partition("=")
    listen, comma, behind = rest.partition(",")
    if not (name and equals and comma and behind):
        raise Usage(
            f"--proxy {text!r} is not NAME=LISTEN,UPSTREAM",
            do="write e.g. --proxy redis=127.0.0.1:26379,127.0.0.1:6379",
        )
    return Wanted(NewProxy(name, listen, behind), f"--proxy {text}: ")


def _read(path: Path) -> tuple[object, Document]:
    """The list, and a document that knows its lines. Raises Faulty."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise _faulty(path, None, f"is larger than {MOST_BYTES >> 20} MiB")
        text = content.decode()
        data = json.loads(text)
    except OSError as error:
        raise Faulty(
            [Problem(str(path), None, "", str(error.strerror), "name a file that can be read")]
        ) from None
    except UnicodeDecodeError as error:
        raise _faulty(
            path, content.count(b"\n", 0, error.start) + 1, f"not UTF-8 at byte {error.start}"
        ) from None
    except json.JSONDecodeError as error:
        raise _faulty(path, error.lineno, f"not JSON: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        raise _faulty(path, 1, f"not JSON that can be read: {error}") from None
    if not isinstance(data, list):
        raise _faulty(path, 1, "expected a list of proxies")
    # JSON is YAML, and that knows its lines, but for tabs; between values they are blanks, and within a text JSON has none.
    return data, Document(str(path), f'{{"{_LIST}": {text}}}'.replace("\t", " "))


def _wrong_in(proxy: _Proxy, document: Document, at: Path_, elsewhere: bool) -> list[Problem]:
    found: list[Problem] = []
    try:
        address(proxy.listen)
    except ValueError as error:
        found.append(_problem(document, (*at, "listen"), str(error), "write 127.0.0.1:PORT"))
    try:
        upstream(proxy.upstream, elsewhere=elsewhere)
    except Refusal as refusal:
        do = "write HOST:PORT" if elsewhere else "write 127.0.0.1:PORT, or start with --any-upstream"
        found.append(_problem(document, (*at, "upstream"), _bare(refusal), do))
    for index, toxic in enumerate(proxy.toxics):
        try:
            toxic_of(NewToxic(toxic.type, dict(toxic.attributes), toxic.stream, toxic.toxicity, toxic.name))
        except Refusal as refusal:
            do = "docs/proxy.md has the types and their attributes"
            found.append(_problem(document, (*at, "toxics", index), _bare(refusal), do))
    return found


def _bare(refusal: Refusal) -> str:
    return str(refusal).removeprefix("bad request body: ").removeprefix("upstream: ")


def _problem(document: Document, path: Path_, what: str, do: str) -> Problem:
    return Problem(document.name, document.line(path), ".".join(map(str, path)), what, do)


def _faulty(path: Path, line: int | None, what: str) -> Faulty:
    return Faulty([Problem(str(path), line, "", what, _DO)])
