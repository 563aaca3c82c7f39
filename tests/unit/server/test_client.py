"""The client in JavaScript, as `serve` hands it out: whole, and with the names that the other rooms have."""

from __future__ import annotations

import posixpath
import re

from migctl.server.routes.client import CLIENT, modules
from migctl.target import schema


def imports_of(path: str) -> set[str]:
    found = re.findall(r"^(?:import|export) .* from '([^']+)';$", modules()[path].text.decode(), re.MULTILINE)
    return {posixpath.normpath(posixpath.join(posixpath.dirname(path), one)) for one in found}


def test_what_the_client_imports_is_served_and_nothing_else_is() -> None:
    reached: set[str] = set()
    waiting = {CLIENT}
    while waiting:
        path = waiting.pop()
        reached.add(path)
        waiting |= imports_of(path) - reached
    assert reached == modules().keys()


def test_client_names_the_tables_as_the_target_does() -> None:
    text = modules()["/client/tables.js"].text.decode()
    named = dict(re.findall(r"^(?:export )?const (\w+) = '(\w[\w,]+)';$", text, re.MULTILINE))
    tables = {"EVENTS": schema.EVENTS, "TOMBSTONES": schema.TOMBSTONES, "HEADS": schema.HEADS}
    pages = {"ROW": schema.columns(schema.PAGE_ROW), "TOMBSTONE": schema.columns(schema.PAGE_TOMBSTONE)}
    assert named.items() >= {**tables, **pages}.items()
    assert set(named["HEAD"].split(",")) <= set(schema.HEAD)


def test_tag_of_a_module_is_of_its_text() -> None:
    tags = {module.tag for module in modules().values()}
    assert len(tags) == len(modules())
