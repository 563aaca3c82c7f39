"""Audit: what is locked has hashes, and no advisory. Python by uv.lock, the dashboard's library by its package-lock.json.

Advisories are asked for at OSV (https://osv.dev), which knows both; OSV_URL names another one that speaks as it does. Where none
answers that is said loudly, and it is no failure: MIGCTL_AUDIT=require makes it one. What is found fails, unless audit.toml
says why it does not count, and until when.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

TOP = Path(__file__).resolve().parents[1]
OSV = "https://api.osv.dev"
WITHIN_S = 20
MOST_BYTES = 16 << 20
# As many as OSV takes at once.
MOST_QUERIES = 1000


class Package(NamedTuple):
    """One that is locked. ecosystem: as OSV calls it."""

    ecosystem: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.ecosystem})"


@dataclass(frozen=True)
class Advisory:
    """Of one package. ids: its own first, then its aliases. fixed: versions without it; none where there is none yet."""

    package: Package
    ids: tuple[str, ...]
    summary: str
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        way_out = f"fixed in {', '.join(self.fixed)}" if self.fixed else "no version is fixed"
        return f"{self.package}: {', '.join(self.ids)}: {self.summary}; {way_out}"


@dataclass(frozen=True)
class Ignored:
    """An advisory that does not count up to and with this day."""

    id: str
    package: str
    reason: str
    until: date


class NoAnswer(Exception):
    """Nobody answers, or with what is no answer: nothing is known."""


# Pure.


def of_uv(lock: Mapping[str, Any]) -> tuple[list[Package], list[str]]:
    """What is locked, and what of it has no hash; the project itself is neither."""
    packages, bare = [], []
    for one in lock["package"]:
        if "registry" not in one["source"]:
            if not {"editable", "virtual"} & one["source"].keys():
                bare.append(f"{one['name']}: locked to {one['source']}, which no index vouches for")
            continue
        package = Package("PyPI", one["name"], one["version"])
        files = [*one.get("wheels", []), *([one["sdist"]] if "sdist" in one else [])]
        if not files or not all(str(file.get("hash", "")).startswith("sha256:") for file in files):
            bare.append(f"{package}: a file without a sha256 in uv.lock")
        packages.append(package)
    return packages, bare


def of_npm(lock: Mapping[str, Any]) -> tuple[list[Package], list[str]]:
    packages, bare = [], []
    for place, one in lock["packages"].items():
        if not place:
            continue
        package = Package("npm", one.get("name") or place.rpartition("node_modules/")[2], one["version"])
        if not str(one.get("integrity", "")).startswith("sha512-"):
            bare.append(f"{package}: no sha512 in package-lock.json")
        packages.append(package)
    return packages, bare


def query(packages: Iterable[Package]) -> dict[str, Any]:
    return {
        "queries": [
            {"package": {"name": one.name, "ecosystem": one.ecosystem}, "version": one.version}
            for one in packages
        ]
    }


def hits(packages: Sequence[Package], answer: object) -> list[tuple[Package, str]]:
    """The ids of advisories that a batch was answered with. Raises NoAnswer: half an answer is none."""
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or len(results) != len(packages):
        raise NoAnswer(f"asked for {len(packages)} packages, and the answer is not one for each")
    found: list[tuple[Package, str]] = []
    for package, result in zip(packages, results, strict=True):
        if not isinstance(result, dict) or result.get("next_page_token"):
            raise NoAnswer(f"the answer for {package} is not whole")
        try:
            found += [(package, str(one["id"])) for one in result.get("vulns") or ()]
        except (TypeError, KeyError):
            raise NoAnswer(f"the answer for {package} names no advisory") from None
    return found


def advisory(package: Package, document: object) -> Advisory | None:
    """What an advisory says of a package; None for one that was withdrawn. Raises NoAnswer."""
    if not isinstance(document, dict) or not document.get("id"):
        raise NoAnswer(f"an advisory for {package} can't be read")
    if document.get("withdrawn"):
        return None
    fixed = [
        str(event["fixed"])
        for affected in document.get("affected") or ()
        if affected.get("package", {}).get("name", "").lower() == package.name.lower()
        and affected["package"].get("ecosystem") == package.ecosystem
        for span in affected.get("ranges") or ()
        if span.get("type") != "GIT"
        for event in span.get("events") or ()
        if "fixed" in event
    ]
    summary = document.get("summary") or str(document.get("details") or "").strip().partition("\n")[0]
    ids = dict.fromkeys([document["id"], *(document.get("aliases") or ())])
    return Advisory(package, tuple(ids), summary[:200] or "no summary", tuple(dict.fromkeys(fixed)))


def judged(found: Sequence[Advisory], ignored: Sequence[Ignored], today: date) -> tuple[list[str], list[str]]:
    """What counts, a sentence each, and what is only remarked."""
    counts, remarks = [], []
    used: set[int] = set()
    for one in found:
        index = next(
            (
                at
                for at, each in enumerate(ignored)
                if each.id in one.ids and each.package == one.package.name
            ),
            None,
        )
        if index is None:
            counts.append(str(one))
            continue
        used.add(index)
        known = ignored[index]
        if known.until < today:
            counts.append(f"{one} (was ignored until {known.until}: {known.reason})")
        else:
            remarks.append(f"{one} (ignored until {known.until}: {known.reason})")
    remarks += [
        f"audit.toml ignores {one.id} of {one.package}, which nobody finds any more: take it out"
        for at, one in enumerate(ignored)
        if at not in used
    ]
    return counts, remarks


def ignored_in(document: Mapping[str, Any]) -> list[Ignored]:
    """Raises ValueError for an entry without a reason or an end."""
    found = []
    for entry in document.get("ignore", []):
        until = entry.get("until")
        if not all(isinstance(entry.get(key), str) and entry[key] for key in ("id", "package", "reason")):
            raise ValueError(f"audit.toml: {entry}: an entry has id, package and reason, as texts")
        if not isinstance(until, date) or isinstance(until, datetime):
            raise ValueError(f"audit.toml: {entry['id']}: an entry has an end, as until = 2026-12-31")
        found.append(Ignored(entry["id"], entry["package"], entry["reason"], until))
    return found


def audited(packages: Sequence[Package], ask: Callable[[str, object | None], object]) -> list[Advisory]:
    """Each advisory once. ask: a path, and what is posted there; None: it is only read. Raises NoAnswer."""
    found: dict[tuple[Package, str], Advisory] = {}
    for at in range(0, len(packages), MOST_QUERIES):
        part = packages[at : at + MOST_QUERIES]
        for package, id_ in hits(part, ask("/v1/querybatch", query(part))):
            one = advisory(package, ask(f"/v1/vulns/{id_}", None))
            # OSV has one of GitHub's and one of PyPI's for most.
            if one is not None and not any(
                set(one.ids) & set(other.ids) for (of, _), other in found.items() if of == package
            ):
                found[package, id_] = one
    return list(found.values())


# The edge.


def _asking(base: str) -> Callable[[str, object | None], object]:
    def ask(path: str, body: object | None) -> object:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(base + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
                return json.loads(answer.read(MOST_BYTES))
        except (OSError, ValueError) as error:
            raise NoAnswer(f"{base}{path}: {error}") from None

    return ask


def main() -> int:
    say = sys.stdout.write
    packages, wrong = of_uv(tomllib.loads((TOP / "uv.lock").read_text()))
    npm, wrong_npm = of_npm(json.loads((TOP / "migctl/dashboard/package-lock.json").read_text()))
    packages, wrong = packages + npm, wrong + wrong_npm
    say(f"{len(packages)} packages are locked, {len(wrong)} of them without a hash\n")
    remarks: list[str] = []
    try:
        ignored = ignored_in(tomllib.loads((TOP / ".ci/audit.toml").read_text()))
        found = audited(packages, _asking(os.environ.get("OSV_URL", OSV)))
    except ValueError as error:
        wrong.append(str(error))
    except NoAnswer as error:
        line = "!" * 100
        say(f"{line}\n!! NO ADVISORY WAS LOOKED UP: {error}\n")
        say(f"!! Nothing is known of what is published against these versions.\n{line}\n")
        if os.environ.get("MIGCTL_AUDIT") == "require":
            wrong.append("no source of advisories answers, and MIGCTL_AUDIT=require")
    else:
        counts, remarks = judged(found, ignored, datetime.now(UTC).date())
        wrong += counts
        say(f"{len(found)} advisories, {len(counts)} of them count\n")
    for one in remarks:
        say(f"  {one}\n")
    for one in wrong:
        say(f"WRONG: {one}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
