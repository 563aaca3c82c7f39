"""The house as a whole: every module with a rule in it has a fast test near it, files stay readable, types stay known."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAST = ("tests/unit", "tests/property")

# Why a module with a rule may have no fast test near it.
WIRE = "it speaks with a real other side: tests/integration, tests/contract or tests/conformance"
PROCESS = "it starts, joins or ends processes: tests/crash, tests/cli, tests/e2e"
DATABASE = "only PostgreSQL can say whether it is right: tests/integration"
FILE = "it is what becomes of real files: tests/contract, tests/integration/journal"
EDGE = "a thin edge: what it decides stands in a module beside it, which has a fast test; it is run by tests/integration"

# Objects with keys of text that a function of ours may return: JSON that has a form of its own, or that goes out as it is.
FLAGD = "a tree in flagd's format, which is written and evaluated as it is"
YAML = "a file of settings before it is checked"
PLAIN_OBJECTS = {
    "migctl.config.digest.delivery_settings": YAML,
    "migctl.config.problems.document": "printed as it is; who reads fields has Problem",
    "migctl.config.showing.as_document": "printed as it is",
    "migctl.config.staged.laid": YAML,
    "migctl.config.staged.merge": YAML,
    "migctl.config.validating.keys_of": YAML,
    "migctl.drills.remedies.overlays": YAML,
    "migctl.flags.definitions.document": FLAGD,
    "migctl.flags.evaluator.context_of": FLAGD,
    "migctl.flags.schemas.flags_schema": "JSON Schema",
    "migctl.flags.schemas.segments_schema": "JSON Schema",
    "migctl.flags.segments.read_segments": FLAGD,
    "migctl.flags.segments.rule_of": FLAGD,
    "migctl.flags.segments.segments_of": FLAGD,
    "migctl.flags.shares.targeting": FLAGD,
    "migctl.ingest.gauges.read": "the data of an event, which has no form",
    "migctl.ingest.gauges.verdict": "the data of an event, which has no form",
    "migctl.ingest.outages.document": "a line of a file; who reads fields has OutageStatus",
    "migctl.replay.recording.document": "printed as it is; who reads fields has Facts",
    "migctl.checking.schemas.json_schema": "JSON Schema",
    "migctl.runtime.rolling.move": "answered as it is",
    "migctl.runtime.rollout_document.document": "printed as it is, and answered",
    "migctl.runtime.rollout_document.refused": "printed as it is",
    "migctl.server.routes.rollout_api.move": "answered as it is",
    "migctl.rollout.signoff.document.json_schema": "JSON Schema",
    "migctl.server.openapi.document": "OpenAPI",
    "migctl.server.routes.assignment.document": "answered as it is; who reads it has Assignment",
    "migctl.server.routes.events.detail_of": "answered as it is",
    "migctl.server.routes.ofrep.context_in": "what a stranger says of itself, and only rules of flags read",
    "migctl.status.reading.json_schema": "JSON Schema",
    "migctl.validate.result.json_schema": "JSON Schema",
    "migctl.validate.result.to_json": "for who is not us; who reads fields has Report",
}

# It stops a real process in the middle of a function, which no value can.
FAILS_BY_A_WORD = {ROOT / "tests/kit/failpoint.py"}

# An entry that is no longer needed fails the suite: take it out.
WITHOUT_A_FAST_TEST = {
    "migctl.demo": PROCESS,
    "migctl.drills.listening": PROCESS,
    "migctl.drills.loading": PROCESS,
    "migctl.drills.conducting": PROCESS,
    "migctl.drills.functions.disk": PROCESS,
    "migctl.drills.functions.flags": PROCESS,
    "migctl.drills.functions.keys": PROCESS,
    "migctl.drills.functions.lines": PROCESS,
    "migctl.drills.functions.moving": PROCESS,
    "migctl.drills.functions.probes": PROCESS,
    "migctl.drills.functions.processes": PROCESS,
    "migctl.drills.functions.standin": PROCESS,
    "migctl.drills.functions.target": PROCESS,
    "migctl.drills.running": PROCESS,
    "migctl.drills.world.operator": PROCESS,
    "migctl.faults.api.app": WIRE,
    "migctl.faults.lane": WIRE,
    "migctl.faults.proxy_process": PROCESS,
    "migctl.faults.switches": WIRE,
    "migctl.journal.sqlite.reader": FILE,
    "migctl.rehearsal.rehearsal": PROCESS,
    "migctl.replay.run": PROCESS,
    "migctl.runtime.adopting": FILE,
    "migctl.stack.shim": PROCESS,
    "migctl.stack.standin.admin": WIRE,
    "migctl.stack.standin.app": WIRE,
    "migctl.stack.standin.realtime.authorize": DATABASE,
    "migctl.stack.standin.realtime.changes": DATABASE,
    "migctl.stack.standin.realtime.channel": EDGE,
    "migctl.stack.standin.realtime.checks": DATABASE,
    "migctl.stack.standin.realtime.fanout": EDGE,
    "migctl.stack.standin.realtime.http": WIRE,
    "migctl.stack.standin.realtime.messages": DATABASE,
    "migctl.stack.standin.realtime.socket": EDGE,
    "migctl.stack.standin.realtime.visibility": DATABASE,
    "migctl.stack.standin.rest.handlers": DATABASE,
    "migctl.stack.standin.users.accounts": DATABASE,
    "migctl.stack.standin.users.handlers": DATABASE,
    "migctl.stack.standin.wal.stream": DATABASE,
    "migctl.validate.witness.alerting": EDGE,
    "migctl.validate.witness.listening": EDGE,
    "migctl.validate.witness.witness": PROCESS,
    "migctl.supervision.supervisor": PROCESS,
    "migctl.supervision.turn": PROCESS,
    "migctl.supervision.worker": PROCESS,
    "migctl.runtime.warming": PROCESS,
}

MAX_LINES = 400
MAX_ANY_PER_THOUSAND_LINES = 5.0

# What a branch looks like: without one, a function has no rule that a value could be put into.
_BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.Try,
    ast.TryStar,
    ast.Match,
    ast.BoolOp,
    ast.comprehension,
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def file_of(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    return next((one for one in (base.with_suffix(".py"), base / "__init__.py") if one.is_file()), None)


def modules() -> list[Path]:
    return sorted((ROOT / "migctl").rglob("*.py"))


def has_a_rule(path: Path) -> bool:
    """True where a function or method branches or loops. `cli` is a face, which tests/cli runs as the program that it is."""
    if path.name in ("__init__.py", "__main__.py") or path.is_relative_to(ROOT / "migctl" / "cli"):
        return False
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(
        isinstance(inner, _BRANCHES)
        for node in ast.walk(tree(path))
        if isinstance(node, functions)
        for inner in ast.walk(node)
    )


@cache
def imports(path: Path) -> frozenset[str]:
    """Modules of ours that a file imports, at its top or in a function. A name that a package re-exports is that of its module."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    skipped = {
        id(inner)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree(path)):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] in ("migctl", "tests"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("migctl", "tests"):
            yield from (defined_in(str(node.module), one.name) for one in node.names)


@cache
def defined_in(module: str, name: str) -> str:
    if file_of(f"{module}.{name}") is not None:
        return f"{module}.{name}"
    file = file_of(module)
    if file is not None and file.name == "__init__.py":
        for node in ast.walk(tree(file)):  # one that imports lazily has them for type checkers alone
            if isinstance(node, ast.ImportFrom) and any(
                (one.asname or one.name) == name for one in node.names
            ):
                return defined_in(str(node.module), name)
    return module


@cache
def near_fast_tests() -> frozenset[str]:
    """What a fast test imports, and what that imports: directly, or through one import."""
    tests = [path for folder in FAST for path in (ROOT / folder).rglob("test_*.py")]
    direct = {found for path in tests for found in imports(path)}
    return frozenset(direct) | {
        found for one in direct if (file := file_of(one)) is not None for found in imports(file)
    }


def without() -> set[str]:
    near = near_fast_tests()
    return {name_of(path) for path in modules() if has_a_rule(path)} - near


def test_every_module_with_a_rule_is_imported_by_a_fast_test() -> None:
    missing = sorted(without() - WITHOUT_A_FAST_TEST.keys())
    assert not missing, (
        f"{len(missing)} without a fast test: write one, or list them with a reason\n" + "\n".join(missing)
    )


def test_the_list_of_those_without_has_none_that_is_not_one_of_them() -> None:
    stale = sorted(WITHOUT_A_FAST_TEST.keys() - without())
    assert not stale, "no longer needed, take them out of the list\n" + "\n".join(stale)


def test_no_file_is_longer_than_one_sitting() -> None:
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}
    assert {name: lines for name, lines in sizes.items() if lines > MAX_LINES} == {}


def test_what_a_value_is_is_known_nearly_everywhere() -> None:
    uses = Counter(
        {
            str(path.relative_to(ROOT)): sum(
                isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(tree(path))
            )
            for path in modules()
        }
    )
    lines = sum(len(path.read_text().splitlines()) for path in modules())
    per_thousand = 1000 * uses.total() / lines
    assert per_thousand < MAX_ANY_PER_THOUSAND_LINES, (
        f"{uses.total()} uses of Any in {lines} lines, most in {uses.most_common(5)}"
    )


def patches(path: Path) -> Iterator[str]:
    """Where a file changes what another module has, instead of giving it a value."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            word = ast.unparse(node.func)
            if word.endswith((".setattr", "mock.patch", "patch.object", "patch.dict")):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {word}"
        targets = node.targets if isinstance(node, ast.Assign) else []
        for one in targets:
            if isinstance(one, ast.Attribute) and one.attr.startswith("_") and not _is_own(one.value):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(one)}"


def _is_own(of: ast.expr) -> bool:
    return ast.unparse(of) in ("self", "cls")


def test_tests_and_benchmarks_pass_values_and_patch_nothing() -> None:
    files = [path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 200
    found = [one for path in files if path not in FAILS_BY_A_WORD for one in patches(path)]
    assert found == []


def returns_a_plain_object(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    known = ast.unparse(node.returns) if node.returns is not None else ""
    return any(form in known for form in ("dict[str, Any]", "dict[str, object]", "Mapping[str, object]"))


def test_what_goes_from_room_to_room_has_fields_and_no_keys_of_text() -> None:
    """A renamed field is a type error where it is read; a renamed key is found by nobody. cli only prints what it makes."""
    found = {
        f"{name_of(path)}.{node.name}"
        for path in modules()
        if path.relative_to(ROOT).parts[1] != "cli" and "standin" not in path.parts
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if not node.name.startswith("_") and returns_a_plain_object(node)
    }
    assert sorted(found - PLAIN_OBJECTS.keys()) == []
