"""The numbered SQL files: found, hashed, and filled in for one schema.

`NNNN_name.up.sql` and `NNNN_name.down.sql`, from 0001 without a hole. The hash covers the up file as it lies on disk, before the
placeholders are filled in, so that it is the same for every schema; line ends don't count.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from migctl.config.assets import folder as asset_folder
from migctl.errors import Usage

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.(up|down)\.sql")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_DROPS = re.compile(r"^-- drops rows: (.+)$", re.MULTILINE)
_MAX_IDENTIFIER = 63

EVENTS = "monitoring_events"
TOMBSTONES = "monitoring_tombstones"
HEADS = "monitoring_heads"


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered change. up, down: SQL with placeholders; sha256: of the up file, in hex."""

    version: int
    name: str
    up: str
    down: str | None
    sha256: str

    @property
    def file(self) -> str:
        return f"{self.version:04d}_{self.name}.up.sql"

    @property
    def down_file(self) -> str:
        return f"{self.version:04d}_{self.name}.down.sql"

    @property
    def drops_rows(self) -> tuple[str, ...]:
        """The tables whose rows go with the down file; its header says so."""
        found = _DROPS.search(self.down or "")
        return tuple(name.strip() for name in found[1].split(",")) if found else ()


def load(folder: Path | None = None) -> tuple[Migration, ...]:
    """All migrations in order of their number. Raises Usage for a hole, a double number or an unreadable file."""
    base = folder or asset_folder("sql")
    texts: dict[tuple[int, str], dict[str, str]] = {}
    try:
        paths = sorted(base.glob("*.sql"))
        for path in paths:
            matched = _NAME.fullmatch(path.name)
            if matched is None:
                raise Usage(f"{path}: not named NNNN_name.up.sql or NNNN_name.down.sql", do="rename the file")
            text = path.read_bytes().replace(b"\r\n", b"\n").decode("utf-8")
            texts.setdefault((int(matched[1]), matched[2]), {})[matched[3]] = text
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"{base}: {error}", do="make the folder of the SQL files readable, as UTF-8") from None
    migrations = tuple(_migration(base, version, name, by) for (version, name), by in sorted(texts.items()))
    for expected, migration in enumerate(migrations, start=1):
        if migration.version != expected:
            raise Usage(
                f"{base}: expected a file with number {expected:04d}, found {migration.file}",
                do="number the files from 0001 without a hole, each number once",
            )
    if not migrations:
        raise Usage(f"{base}: no SQL files", do="install migctl again: pip install --force-reinstall migctl")
    return migrations


def _migration(base: Path, version: int, name: str, texts: dict[str, str]) -> Migration:
    if "up" not in texts:
        raise Usage(
            f"{base}/{version:04d}_{name}.down.sql has no up file", do="add it, or remove the down file"
        )
    up = texts["up"]
    return Migration(version, name, up, texts.get("down"), hashlib.sha256(up.encode()).hexdigest())


def render(text: str, schema: str) -> str:
    """Fill in the placeholders. Raises Usage for one that is not known."""
    values = {
        "schema": identifier(schema),
        "schema_text": literal(schema),
        "topic_text": literal(topic(schema)),
        "canary_topic_text": literal(canary_topic(schema)),
        "receive_policy": identifier(receive_policy(schema)),
    }

    def value(matched: re.Match[str]) -> str:
        if matched[1] not in values:
            raise Usage(f"{matched[0]} is no placeholder", do=f"one of: {', '.join(sorted(values))}")
        return values[matched[1]]

    return _PLACEHOLDER.sub(value, text)


def topic(schema: str) -> str:
    """The private channel that events are broadcast on."""
    return f"{schema}.{EVENTS}"


def canary_topic(schema: str) -> str:
    """The private channel of the canary, beside the events' own."""
    return f"{schema}.{EVENTS}.canary"


def receive_policy(schema: str) -> str:
    """The policy on realtime.messages that lets `authenticated` receive. One a schema: the table is shared."""
    return f"migctl_receive_{schema}"[:_MAX_IDENTIFIER]


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
