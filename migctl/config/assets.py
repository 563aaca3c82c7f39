"""Where sql/ and configs/ are: in the checkout for an editable install, in the package for a wheel; ./configs wins."""

from __future__ import annotations

import os
from pathlib import Path

from migctl.errors import Usage

_PACKAGE = Path(__file__).resolve().parents[1]


def folder(name: str) -> Path:
    """The folder `sql` or `configs` that came with this migctl. Raises Usage where the installation lacks it."""
    for base in (_PACKAGE, _PACKAGE.parent):
        if (base / name).is_dir():
            return base / name
    raise Usage(
        f"this installation of migctl has no {name}/ folder",
        do="install migctl again: pip install --force-reinstall migctl",
    )


def config_file(name: str, *, cwd: Path | None = None) -> Path:
    """`./configs/NAME` where it is there, be it readable or not, else the one that came with migctl."""
    own = (cwd or Path()) / "configs" / name
    return own if os.path.lexists(own) else folder("configs") / name
