"""Order: a drill that is to be run, looked up by its name or file, checked, and bound to the settings that its serve runs with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from migctl.config import Settings, secret
from migctl.config.digest import delivery_digest
from migctl.drills import catalog
from migctl.drills.functions.checking import Checked, read, with_changes
from migctl.drills.functions.parts import need_no_stack
from migctl.drills.functions.soak import Changes
from migctl.drills.remedies import check, overlays
from migctl.drills.settings import drilled
from migctl.drills.world.project import Project
from migctl.errors import Usage


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for. state: where it is noted and kept. keep: a folder for logs and captures, that stays.

    settings: text of the migctl.yaml that serve is run with. config: its hash. without: remedies that are switched off.
    counts: a pass counts for a gate of the rollout; not of a drill that was made shorter on the command line, or that only listens.
    url, token: of the serve that a read-only drill listens to. project: of the operator's own, in place of a stack.
    """

    name: str
    checked: Checked
    state: Path
    settings: str = ""
    config: str = ""
    keep: Path | None = None
    without: list[str] = field(default_factory=list)
    counts: bool = True
    url: str = ""
    token: str | None = field(default=None, repr=False)
    project: Project | None = None


def ordered(
    settings: Settings,
    drill: str,
    *,
    without: Sequence[str] = (),
    keep: Path | None = None,
    rate_per_s: float | None = None,
    changes: Changes | None = None,
    url: str | None = None,
    source: str | None = None,
    project: Project | None = None,
) -> Order:
    """Raises Usage or Faulty, with all that is wrong, before anything is done.

    project: Refused too, where the drill acts on what only a stack of its own has; one that only listens has none.
    """
    path, changes = catalog.path_of(drill), changes or Changes()
    checked = with_changes(read(path).at(rate_per_s, source), path.stem, changes)
    listens, tapped = checked.drill.read_only, checked.drill.configuration.source
    if source is not None and not source.startswith(("ws://", "wss://")):
        raise Usage(f"--source {source}: a drill taps a live WebSocket", do="give ws://HOST:PORT/PATH")
    if tapped is not None and rate_per_s is not None:
        raise Usage(f"{tapped} comes at its own rate", do="leave out --rate, or --source and `source`")
    if listens and source is not None:
        raise Usage(f"drill {path.stem} has no serve that could tap it", do="leave out --source")
    if listens and rate_per_s is not None:
        raise Usage(f"drill {path.stem} publishes nothing", do="leave out --rate: it listens to what comes")
    if url is not None and not listens:
        raise Usage(
            f"drill {path.stem} has a serve of its own", do="leave out --url: it is for read-only drills"
        )
    check(checked.drill, path.stem, without)
    if listens:
        project = None
    if project is not None:
        need_no_stack(checked, path.stem, project.name)
    there = [_sections(project)] if project is not None else []
    # How the operator's stream becomes events is asked for only where it is tapped.
    mapping = [{"source": settings.source.model_dump(mode="json")}] if tapped is not None else []
    return Order(
        name=path.stem,
        checked=checked,
        state=settings.state,
        settings=drilled(
            settings, *mapping, checked.drill.configuration.settings, *overlays(without), *there
        ),
        without=list(without),
        config=delivery_digest(settings),
        keep=keep,
        counts=not changes.are_other_faults and not listens,
        url=url or f"http://{settings.listen}",
        token=secret("MIGCTL_TOKEN"),
        project=project,
    )


def _sections(project: Project) -> dict[str, object]:
    """Of a migctl.yaml, for who works there as the drill."""
    return {"supabase": {"schema": project.schema}, "flags": {"target": project.mark}}
