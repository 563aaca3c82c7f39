"""A strict reader of Prometheus' text format, written from its specification and not from our writer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HELP = re.compile(rf"# HELP ({_NAME}) ((?:[^\\\n]|\\\\|\\n)*)")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (counter|gauge|histogram|summary|untyped)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"')
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (NaN|[+-]Inf|-?[0-9.]+(?:e[+-]?[0-9]+)?)")
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


@dataclass
class Read:
    kind: str
    help: str
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)


def read(page: bytes) -> dict[str, Read]:
    """Families by name. Raises AssertionError for anything that a scraper would refuse."""
    text = page.decode()
    assert text.endswith("\n")
    families: dict[str, Read] = {}
    current = ""
    for line in text.splitlines():
        if found := _HELP.fullmatch(line):
            current = found[1]
            assert current not in families, f"{current} comes twice"
            families[current] = Read("", found[2])
        elif found := _TYPE.fullmatch(line):
            assert found[1] == current
            assert not families[current].samples
            families[current].kind = found[2]
        else:
            found = _SAMPLE.fullmatch(line)
            assert found, line
            family = families[current]
            allowed = {current + suffix for suffix in _SUFFIXES.get(family.kind, ("",))}
            assert found[1] in allowed, line
            labels = _LABEL.findall(found[2] or "")
            assert ",".join(f'{name}="{value}"' for name, value in labels) == (found[2] or ""), line
            key = (found[1], frozenset(labels))
            assert key not in family.samples, f"a series comes twice: {line}"
            family.samples[key] = float(found[3])
    for name, family in families.items():
        assert family.samples, f"{name} has no sample"
        assert family.kind != "counter" or name.endswith("_total"), name
    return families


def value(families: dict[str, Read], name: str, **labels: str) -> float:
    """One sample. Raises KeyError."""
    base = next(one for one in families if name in (one, *(one + s for s in _SUFFIXES["histogram"])))
    return families[base].samples[name, frozenset(labels.items())]
