"""The OpenAPI document knows the routes that the code adds to the application: all of them, and no other."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import migctl
from migctl.server.operations import OPERATIONS

PACKAGE = Path(migctl.__file__).parent
METHODS = ("get", "post", "put", "delete", "patch", "head", "options")
# Ways to add a route that this test can't read.
OTHERS = ("route", "view", "static", "add_route", "add_view", "add_static", "add_resource", "add_subapp")


def test_every_route_is_in_the_document_and_none_that_is_not_there() -> None:
    added = {route for path in sorted(PACKAGE.rglob("*.py")) for route in routes_in(path)}
    documented = {(one.method, one.path) for one in OPERATIONS}
    assert added - documented == set(), "say them in migctl/server/operations.py"
    assert documented - added == set(), "nothing adds these: take them out of migctl/server/operations.py"


def test_the_reader_finds_each_way_to_write_a_route() -> None:
    assert {
        ("get", "/events"),  # app.router.add_get
        ("get", "/admin/flags"),  # web.get
        ("post", "/ofrep/v1/evaluate/flags/{key}"),  # its path has a constant in it
    } <= {route for path in sorted((PACKAGE / "server").rglob("*.py")) for route in routes_in(path)}


def routes_in(path: Path) -> Iterator[tuple[str, str]]:
    """Each (method, path) that a module adds to an application of aiohttp."""
    text = path.read_text()
    if "from aiohttp import web" not in text or path.relative_to(PACKAGE).parts[0] in ("stack", "faults"):
        return  # the stand-in for Supabase and the proxy have routes of their own
    for node in ast.walk(ast.parse(text)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        of, name = ast.unparse(node.func.value), node.func.attr
        if of != "web" and not of.endswith("router"):
            continue
        where = f"{path}:{node.lineno}"
        assert name not in OTHERS, f"{where}: {name} adds a route that this test does not understand"
        method = name.removeprefix("add_")
        if method in METHODS:
            yield method, _path(node.args[0], path, where)


def _path(written: ast.expr, of: Path, where: str) -> str:
    module = importlib.import_module(".".join(("migctl", *of.relative_to(PACKAGE).with_suffix("").parts)))
    try:
        said = eval(ast.unparse(written), dict(vars(module)))  # noqa: S307 - it is our own
    except NameError as error:
        raise AssertionError(f"{where}: write the path with constants of the module: {error}") from None
    assert isinstance(said, str), where
    return said
