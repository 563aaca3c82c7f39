"""Drills by their names: those that came with migctl, and those of ./configs/drills, which win."""

from __future__ import annotations

import difflib
from pathlib import Path

from migctl.config.assets import config_file, folder
from migctl.errors import Usage

_FOLDER = "drills"
_END = ".yaml"


def names(here: Path | None = None) -> list[str]:
    """Each that can be run by its name, sorted."""
    own = (here or Path()) / "configs" / _FOLDER
    shipped = folder("configs") / _FOLDER
    return sorted({path.stem for one in (own, shipped) if one.is_dir() for path in one.glob(f"*{_END}")})


def path_of(name: str, here: Path | None = None) -> Path:
    """The file of a drill, by its name or its path. Raises Usage."""
    if name.endswith((_END, ".yml")) or "/" in name:
        path = (here or Path()) / name
        if not path.is_file():
            raise Usage(
                f"{name}: there is no such file", do="name a drill's file, or one of `migctl drill list`"
            )
        return path
    known = names(here)
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        do = f"did you mean {close[0]}?" if close else f"name one of {', '.join(known)}, or a file"
        raise Usage(f"there is no drill {name!r}", do=do)
    return config_file(f"{_FOLDER}/{name}{_END}", cwd=here)
