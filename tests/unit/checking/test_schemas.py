"""JSON Schemas for editors: in step with the models, they accept what ships and refuse what `config check` refuses in one file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from migctl.checking.checking import check
from migctl.checking.schemas import NAMES, SchemaName, json_schema
from migctl.config.assets import folder

PUBLISHED = Path(__file__).parents[3] / "docs" / "schemas"
SHIPPED = sorted(folder("configs").rglob("*.yaml"))
STAGE = "stage: 2b-25\ntitle: t\nopen: {percent: 1}\nsoak_minutes: 5\ngates: [{max_lost: 0}]\n"
FLAGS = "flags: {a: {state: ENABLED, variants: {x: 1, y: 2}, defaultVariant: x}}\n"
DRILL = """\
title: t
description: d
steady-state-hypothesis:
  title: t
  probes: [{type: probe, name: p, tolerance: [closed], provider: {type: migctl, func: breaker-state}}]
method:
  - {type: action, name: a, provider: {type: migctl, func: reset}, pauses: {after: 1.5}}
  - {type: action, name: b, provider: {type: process, path: /bin/true}}
"""
SEGMENTS = "segments: {a: {users: [b]}}\n"
SCHEMAS = {name: json_schema(name) for name in NAMES}


def accepts(name: SchemaName, data: Any) -> bool:
    return bool(Draft202012Validator(SCHEMAS[name]).is_valid(data))


def kind_of(path: Path) -> SchemaName:
    if path.parent.name in ("stages", "drills"):
        return "stage" if path.parent.name == "stages" else "drill"
    kinds: dict[str, SchemaName] = {
        "migctl": "settings",
        "transport": "flags",
        "segments": "segments",
        "experiments": "experiments",
    }
    return kinds[path.stem]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_published_is_what_the_models_say(name: SchemaName) -> None:
    published = PUBLISHED / f"{name}.schema.json"
    assert json.loads(published.read_text()) == SCHEMAS[name], (
        f"migctl config schema {name} > docs/schemas/{name}.schema.json"
    )
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_file_that_ships_is_accepted_and_names_its_schema(path: Path) -> None:
    assert accepts(kind_of(path), yaml.safe_load(path.read_text()))
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text())
    assert named is not None
    assert (path.parent / named[1]).resolve() == PUBLISHED / f"{kind_of(path)}.schema.json"


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("settings", "s.yaml", "relay:\nfallback:\nsource: {map: {a: [.b, .c]}}\nlegacy: {networks: [10.0.0.0/8]}\n"),
        ("settings", "s.yaml", "alerts: {webhook: 'https://h/x'}\nwitness: off\njournal: {path: null}\n"),
        ("stage", "2b-25.yaml", STAGE),
        ("stage", "2b-25.yaml", STAGE + "settings: {relay: {high: {max_wait_s: 1}}, fallback: {to_realtime: false}}\n"),
        ("stage", "2b-25.yaml", STAGE.replace("[{max_lost: 0}]", "[{max_lost: 0, dry_run: true}, {max_rejected: 0}]")),
        ("flags", "f.yaml", FLAGS),
        ("flags", "f.yaml", FLAGS.replace("}}\n", ", targeting: {if: [{in: [{var: targetingKey}, [a]]}, x, null]}}}\n")),
        ("flags", "f.yaml", FLAGS.replace("defaultVariant: x", "defaultVariant: null, metadata: {a: true}")),
        ("segments", "g.yaml", SEGMENTS),
        ("experiments", "e.yaml", "experiments:\n  a.b-c:\nexposures:\n"),
        ("experiments", "e.yaml", "experiments: {a: {starts: '2026-01-31', ends: null, min_users: 5}}\nexposures: {log: false}\n"),
        ("segments", "g.yaml", "segments: {a: {rule: {in: [{var: region}, [eu]]}}, b: {starts_with: [x], ends_with: []}}\n"),
        ("drill", "d.yaml", DRILL),
        ("drill", "d.yaml", DRILL + "configuration:\nobjectives: {max_lost: 2}\nwithout: {breaker: lost}\n"),
    ],
)  # fmt: skip
def test_what_is_right_is_accepted_by_both(tmp_path: Path, name: SchemaName, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    found = check([tmp_path / file], folder=tmp_path, environ={})
    assert (found.problems, found.files) == ([], {tmp_path / file: name})
    assert accepts(name, yaml.safe_load(text))


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        *[("settings", "s.yaml", text) for text in (
            "mode: both\n", "lsten: a:1\n", "listen: 8080\n", "listen: here\n", "relay: {high: {max_events: 0, max_wait_s: 1}}\n",
            "relay: {high: {max_events: 1}}\n", "relay: [1]\n", "fallback: {hold_s: soon}\n", "fallback: {hold_s: true}\n",
            "supabase: {schema: A}\n", "relay: {classes: {a: highest}}\n", "journal: {max_bytes: 1.5}\n", "witness: 7\n",
            "source: {ignore: a}\n", "alerts: {webhook: ftp://x}\n", "realtime: {expected_subscribers: -1}\n",
        )],
        *[("stage", "2b-25.yaml", text) for text in (
            STAGE.replace("title: t\n", ""), STAGE.replace("soak_minutes: 5\n", ""), STAGE.replace("percent: 1", "percent: 101"),
            STAGE.replace("percent: 1", "percent: '1'"), STAGE.replace("percent: 1", "percent: true"),
            STAGE.replace("{percent: 1}", "1"),
            STAGE.replace("percent: 1", "percent: 1, segments: {a: 101}"),
            STAGE.replace("percent: 1", "percent: 1, segments: {all: 1}"),
            STAGE.replace("{max_lost: 0}", ""), STAGE.replace("max_lost: 0", "max_lost: 0, max_rejected: 0"),
            STAGE.replace("max_lost: 0", "min_events: 5"), STAGE.replace("max_lost: 0", "max_lost: null"),
            STAGE.replace("max_lost: 0", "max_lost: 0.5"), STAGE.replace("max_lost: 0", "max_lost: 0, dry_run: true"),
            STAGE.replace("max_lost: 0", "max_latency_p99_ms: 0"), STAGE.replace("max_lost: 0", "max_latency_p99_ms: 100x"),
            STAGE.replace("max_lost: 0", "max_lost: 0, no_data: pass"), STAGE.replace("max_lost: 0", "max_lots: 0"),
            STAGE.replace("5", "0"), STAGE + "mode: none\n", STAGE + "settings: {journal: {}}\n", STAGE + "drills: failover\n",
            STAGE + "settings: {relay: {claim_s: 1}}\n", STAGE + "settings: {fallback: {hold_s: -1}}\n", STAGE + "x: 1\n",
            STAGE + "settings: {relay: {high: {max_events: 501}}}\n", STAGE + "rampdown_minutes: -1\n",
        )],
        *[("flags", "f.yaml", text) for text in (
            "flags: []\n", "flags: {a: {}}\n", "flags: {a b: {state: ENABLED, variants: {x: 1}}}\n", FLAGS.replace("ENABLED", "ON"),
            FLAGS.replace("{x: 1, y: 2}", "{}"), FLAGS.replace("y: 2", "y: two"), FLAGS.replace("y: 2", "y: null"),
            FLAGS.replace("state:", "status:"), FLAGS.replace("}}\n", ", targeting: {foo: 1}}}\n"), FLAGS + "x: 1\n",
            FLAGS.replace("}}\n", ", targeting: 3}}\n"), FLAGS + "metadata: {bucketing: murmur}\n", FLAGS + "metadata: {a: [1]}\n",
        )],
        *[("segments", "g.yaml", text) for text in (
            "segments: []\n", "segments: {all: {users: []}}\n", "segments: {a: {}}\n", "segments: {a: {user: [b]}}\n",
            "segments: {a: {users: [4]}}\n", "segments: {a: {users: b}}\n", "segments: {a: {rule: {in: []}, users: []}}\n",
            "segments: {a: {rule: {foo: 1}}}\n",
        )],
        *[("drill", "d.yaml", text) for text in (
            DRILL.replace("title: t\n", "", 1), DRILL.replace("method:", "methods:"), DRILL + "objectives: {max_lots: 1}\n",
            DRILL + "objectives: {max_lost: -1}\n", DRILL + "configuration: {rate_per_s: 0}\n", DRILL + "runtime: {}\n",
            DRILL.replace("type: action, name: a", "type: act, name: a"), DRILL.replace("after: 1.5", "after: soon"),
            DRILL.replace("path: /bin/true", "pathe: /bin/true"), DRILL + "without: {brakes: lost}\n",
        )],
        *[("experiments", "e.yaml", text) for text in (
            "experiments: []\n", "experiments: {a b: {}}\n", "experiments: {a: {min_users: x}}\n",
            "experiments: {a: {min_user: 1}}\n",
            "experiments: {a: {min_blocks: 1}}\n", "experiments: {a: {ends: 7}}\n", "experiments: {}\nexposures: {log: maybe}\n",
            "exposures: {retain_days: 0}\n", "experiments: {a: {confidence_percent: 100}}\n",
        )],
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_by_both(tmp_path: Path, name: SchemaName, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    assert check([tmp_path / file], folder=tmp_path, environ={}).problems
    assert not accepts(name, yaml.safe_load(text))
