"""Checking: every file of configuration that migctl reads here, with all that is wrong, also between files. Nothing is changed.

| kind | files |
|---|---|
| settings | `migctl.yaml`, `configs/migctl.yaml`, and the environment |
| stage | `configs/stages/NAME.yaml` of each stage, or the one that came with migctl; others there are told: nobody reads them |
| flags | `flags.file`, and `configs/flags/` |
| segments | files of `configs/flags/` with the key `segments` |
| experiments | `configs/flags/experiments.yaml`, and files of `configs/flags/` with the key `experiments` |
| drill | `configs/drills/NAME.yaml`, and each that came with migctl |
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

from migctl.config import Settings
from migctl.config.assets import config_file
from migctl.config.loading import MOST_BYTES, found_file, resolved
from migctl.config.problems import Faulty, Problem
from migctl.config.staged import overlaid
from migctl.config.warned import SettingsWarning
from migctl.config.yamlfile import Document
from migctl.drills import catalog
from migctl.drills.functions.checking import read as read_drill
from migctl.errors import MigctlError
from migctl.experiments.document import checked
from migctl.flags.files import problems_of
from migctl.flags.shares import SEGMENT
from migctl.rollout.stages import NAMES, OPEN_MORE, Stage, opens_less, path_of, read_document

Kind = Literal["settings", "stage", "flags", "segments", "experiments", "drill"]

_YAML = (".yaml", ".yml", ".json")
_BY_KEY: Mapping[str, Kind] = {
    "segments": "segments", "experiments": "experiments", "exposures": "experiments",
    "steady-state-hypothesis": "drill", "method": "drill",
    "$evaluators": "flags", "soak_minutes": "stage", "gates": "stage", "stage": "stage",
}  # fmt: skip
_BY_FOLDER: Mapping[str, Kind] = {"stages": "stage", "flags": "flags", "drills": "drill"}


@dataclass(slots=True)
class Checked:
    """What was looked at, kind by file, and all that is wrong. warnings: what is read all the same."""

    files: dict[Path, Kind] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check(
    files: Sequence[Path] = (), *, folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> Checked:
    """Look at these files, or at all that migctl reads in this folder. What is wrong with one is never raised.

    With files, what they are held against (settings, segments) is still read here, and what is wrong with that is not told.
    """
    here = folder or Path()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SettingsWarning)
        reading = _Reading(here, environ)
        if files:
            quiet = _Reading(here, environ)
            quiet.all()
            reading.settings, reading.segments = quiet.settings, quiet.segments
            for path in files:
                reading.read(path, _kind_of(path))
        else:
            reading.all()
        reading.across()
    warned = [str(one.message) for one in caught if one.category is SettingsWarning]
    order = {str(path): index for index, path in enumerate(reading.files)}
    problems = sorted(
        dict.fromkeys(reading.problems), key=lambda one: (order.get(one.source, len(order)), one.line or 0)
    )
    return Checked(reading.files, problems, list(dict.fromkeys(warned)))


class _Reading:
    """One look at a folder. segments: names that files define."""

    def __init__(self, here: Path, environ: Mapping[str, str] | None) -> None:
        self._here = here
        self._environ = environ
        self.files: dict[Path, Kind] = {}
        self.problems: list[Problem] = []
        self.settings = Settings()
        self.segments: set[str] = set()
        self._stages: dict[str, tuple[Stage, Document]] = {}
        self._read_only: set[str] = set()  # drills

    def all(self) -> None:
        """Everything that migctl reads here."""
        self._read_settings(found_file(self._here), self._environ)
        other = self._here / "configs" / "migctl.yaml"
        if os.path.lexists(other) and other not in self.files:
            kept = self.settings
            self._read_settings(other, {})
            self.settings = kept
        for name in NAMES:
            self.read(path_of(name, self._here), "stage")
        for path in self._listed("stages"):
            if path not in self.files:
                self._nobody_reads(path)
        if self.settings.flags.file is not None:
            self.read(self._here / self.settings.flags.file, "flags")
        shipped: list[tuple[str, Kind]] = [
            ("flags/transport.yaml", "flags"),
            ("flags/segments.yaml", "segments"),
            ("flags/experiments.yaml", "experiments"),
        ]
        for relative, kind in shipped:
            self.read(config_file(relative, cwd=self._here), kind)
        for path in self._listed("flags"):
            if path not in self.files:
                self.read(path, _kind_of(path, "flags"))
        for name in catalog.names(self._here):
            self.read(catalog.path_of(name, self._here), "drill")

    def read(self, path: Path, kind: Kind) -> None:
        """One file."""
        if kind == "settings":
            self._read_settings(path, self._environ)
            return
        self.files[path] = kind
        with self._noting():
            if kind == "stage":
                document = Document.read(path, most_bytes=MOST_BYTES)
                stage = read_document(document, path)
                self._stages[stage.stage] = (stage, document)
                return
            if kind == "drill":
                if read_drill(path).drill.read_only:
                    self._read_only.add(path.stem)
                return
            document = Document.read(path)
            if kind == "experiments":
                checked(document)
                return
            self.problems += problems_of(document)
            segments = document.data.get("segments")
            self.segments |= set(map(str, segments)) if isinstance(segments, Mapping) else set()
            rules = document.data.get("$evaluators")
            names = map(str, rules) if isinstance(rules, Mapping) else ()
            self.segments |= {name.removeprefix(SEGMENT) for name in names if name.startswith(SEGMENT)}

    def across(self) -> None:
        """What only several files together show."""
        for stage, document in self._stages.values():
            self._across_one(stage, document)
        walked = [self._stages[name] for name in NAMES if name in self._stages]
        for (before, _), (after, document) in pairwise(walked):
            for key, what in opens_less(before, after):
                self._note(document, key, what, OPEN_MORE)

    def _across_one(self, stage: Stage, document: Document) -> None:
        for name in stage.open.segments:
            if name not in self.segments:
                known = sorted(self.segments)
                close = difflib.get_close_matches(name, known, 1)
                do = f"did you mean {close[0]}?" if close else "define it in configs/flags/segments.yaml"
                self._note(document, f"open.segments.{name}", f"no file of segments has {name!r}", do)
        for index, name in enumerate(stage.drills):
            drills = catalog.names(self._here)
            if name in drills and name in self._read_only:
                what = f"the drill {name!r} is read-only: it rehearses nothing, and never passes for a stage"
                do = "name one that breaks something, such as failover"
                self._note(document, f"drills.{index}", what, do)
            if name not in drills:
                close = difflib.get_close_matches(name, drills, 1)
                do = f"did you mean {close[0]}?" if close else f"the drills are: {', '.join(drills)}"
                self._note(document, f"drills.{index}", f"no drill {name!r}", do)
        with self._noting(document):
            overlaid(self.settings, stage.settings, source=document.name)

    def _read_settings(self, path: Path | None, environ: Mapping[str, str] | None) -> None:
        if path is not None:
            self.files[path] = "settings"
        with self._noting():
            self.settings = resolved(file=path, environ=environ, folder=self._here).settings

    def _listed(self, name: str) -> list[Path]:
        folder = self._here / "configs" / name
        if not folder.is_dir():
            return []
        return sorted(one for one in folder.iterdir() if one.suffix in _YAML and not one.name.startswith("."))

    def _nobody_reads(self, path: Path) -> None:
        self.files[path] = "stage"
        close = difflib.get_close_matches(path.stem, NAMES, 1, 0.8)
        do = f"call it {close[0]}.yaml, or take it away" if close else f"the stages are: {', '.join(NAMES)}"
        self.problems.append(Problem(str(path), None, "", "is no stage's file: nobody reads it", do))

    def _note(self, document: Document, key: str, what: str, do: str) -> None:
        at = tuple(int(part) if part.isdigit() else part for part in key.split("."))
        self.problems.append(Problem(document.name, document.line(at), key, what, do))

    @contextmanager
    def _noting(self, document: Document | None = None) -> Iterator[None]:
        """document: where keys stand, for problems that know no line."""
        try:
            yield
        except Faulty as error:
            for one in error.problems:
                line = one.line
                if line is None and document is not None:
                    line = document.line(tuple(one.key.split(".")))
                self.problems.append(dataclasses.replace(one, line=line))
        except MigctlError as error:
            self.problems.append(Problem.of(error))


def _kind_of(path: Path, otherwise: Kind = "settings") -> Kind:
    """By what stands in it, else by where it lies."""
    try:
        data = Document.read(path).data
    except MigctlError:
        data = {}
    for key, kind in _BY_KEY.items():
        if key in data:
            return kind
    flags = data.get("flags")  # settings have a section of this name, with texts in it
    if isinstance(flags, Mapping) and any(isinstance(one, Mapping) for one in flags.values()):
        return "flags"
    return _BY_FOLDER.get(path.absolute().parent.name, otherwise)
