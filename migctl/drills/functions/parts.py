"""Parts of an embedded stack that a drill acts on: one that names none may also run before a project of the operator's own."""

from __future__ import annotations

from migctl.drills.functions.checking import Checked
from migctl.drills.functions.soak import OfSoak
from migctl.errors import Refused
from migctl.stack import Part


def parts_of(checked: Checked) -> dict[str, Part]:
    """What acts on a part, by its name in the file, and the part. Of a soak: each fault that may be drawn."""
    found: dict[str, Part] = {}
    if checked.drill.configuration.redis:
        found["redis: true"] = "valkey"
    for name, bound in checked.bound.items():
        if bound.function is not None and (part := bound.function.needs(bound.arguments)) is not None:
            found[name] = part
        elif isinstance(bound.arguments, OfSoak):
            found |= {one.name: part for one in bound.arguments.faults for part in sorted(one.parts())}
    return found


def need_no_stack(checked: Checked, name: str, project: str) -> None:
    """Raises Refused where a drill acts on a part that only a stack of its own has. project: its name."""
    parts = parts_of(checked)
    if parts:
        what = "; ".join(f"{activity!r} acts on {part}" for activity, part in parts.items())
        raise Refused(
            f"drill {name} can't run on {project}, only on a stack of its own: {what}",
            do="unset SUPABASE_URL; `migctl drill list` says which drills may run there",
        )
