"""The names of the target stand in one place, and are those that sql/ makes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import msgspec
import pytest

from migctl import schema as ddl
from migctl.schema.expected import FUNCTIONS, TABLES
from migctl.target import answers, schema
from migctl.target.chain import Head

PACKAGE = Path(schema.__file__).parents[1]
# The tables themselves are described below schema/ and sql/. The stand-in is given what a client says.
SPELLS = ("target/schema.py", "schema/", "stack/standin/")
TABLE_NAMES = re.compile(r"monitoring_(?:events|tombstones|heads|move_head|begin_at|retry)")
_COLUMN = "|".join(sorted({column.name for table in TABLES for column in table.columns}))
COLUMN_LIST = re.compile(rf"\b(?:{_COLUMN}),(?:{_COLUMN}),(?:{_COLUMN})\b")


def modules() -> list[Path]:
    return [
        path for path in PACKAGE.rglob("*.py") if not path.relative_to(PACKAGE).as_posix().startswith(SPELLS)
    ]


def test_no_other_module_spells_a_name_of_the_target() -> None:
    assert len(modules()) > 200
    spelled = [
        f"{path.relative_to(PACKAGE)}: {found[0]}"
        for path in modules()
        for found in TABLE_NAMES.finditer(path.read_text())
    ]
    assert spelled == []


def test_no_other_module_spells_a_list_of_columns() -> None:
    spelled = [
        f"{path.relative_to(PACKAGE)}: {node.value}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and COLUMN_LIST.search(node.value)
    ]
    assert spelled == []


def test_names_are_those_that_the_sql_files_make() -> None:
    assert (schema.EVENTS, schema.TOMBSTONES, schema.HEADS) == (ddl.EVENTS, ddl.TOMBSTONES, ddl.HEADS)
    assert schema.channel("metrics") == ddl.topic("metrics")
    assert schema.canary_channel("metrics") == ddl.canary_topic("metrics")
    functions = {f"rpc/{function.name}" for function in FUNCTIONS}
    assert {schema.MOVE_HEAD, schema.BEGIN_AT, schema.RETRY} <= functions


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (schema.EVENTS, schema.ROW),
        (schema.EVENTS, schema.ROW_ALONE),
        (schema.EVENTS, schema.STORED),
        (schema.EVENTS, schema.PAGE_ROW),
        (schema.TOMBSTONES, schema.TOMBSTONE),
        (schema.TOMBSTONES, schema.PAGE_TOMBSTONE),
        (schema.TOMBSTONES, schema.BURIED),
        (schema.HEADS, schema.HEAD),
    ],
)
def test_columns_are_those_of_the_table(table: str, names: tuple[str, ...]) -> None:
    (known,) = [{column.name for column in each.columns} for each in TABLES if each.name == table]
    assert set(names) <= known


@pytest.mark.parametrize(
    ("struct", "names"),
    [
        (Head, schema.HEAD),
        (answers.Stored, schema.STORED),
        (answers.PageRow, schema.PAGE_ROW),
        (answers.PageTombstone, schema.PAGE_TOMBSTONE),
    ],
)
def test_what_is_asked_for_is_what_is_read(struct: type[msgspec.Struct], names: tuple[str, ...]) -> None:
    assert struct.__struct_fields__ == names


def test_the_function_that_retries_takes_a_row_in_the_order_of_its_columns() -> None:
    (retry,) = [function for function in FUNCTIONS if f"rpc/{function.name}" == schema.RETRY]
    arguments = [argument.split()[0] for argument in retry.arguments.split(", ")]
    assert arguments == [f"p_{name}" for name in schema.ROW]


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("metrics.monitoring_events", "metrics"),
        ("realtime:a.b.monitoring_events", "a.b"),
        ("metrics.others", "public"),
        (".monitoring_events", "public"),
        ("monitoring_events", "public"),
        (None, "public"),
    ],
)
def test_schema_is_read_off_the_channel(channel: str | None, expected: str) -> None:
    assert schema.schema_of(channel) == expected
