"""Mutations: mistakes that somebody might make in a core in JavaScript. The vectors are chosen so that each is noticed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.kit.node import CLIENT, JS


@dataclass(frozen=True)
class Mutation:
    """what: is wrong then. machine: whose vectors notice it. file: of the core; `old` becomes `new` in it, once."""

    what: str
    machine: str
    file: str
    old: str
    new: str

    def make(self, folder: Path) -> Path:
        """A client with this mistake."""
        client = folder / "client"
        shutil.copytree(CLIENT, client)
        file = client / "core" / f"{self.file}.js"
        text = file.read_text()
        assert text.count(self.old) >= 1, f"{self.what}: {self.old!r} is not there any more"
        file.write_text(text.replace(self.old, self.new, 1))
        return client


MUTATIONS = tuple(Mutation(**one) for one in json.loads((JS / "mutations.json").read_text()))
