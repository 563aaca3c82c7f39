"""Hearing: where a `serve` is handed a snapshot of flags, and what it answers.

For both sides: who hands it on has not to load the server, and going down is as quick as what it loads.
"""

from __future__ import annotations

import msgspec

HEAR = "/admin/flags/hear"


class Confirmation(msgspec.Struct, frozen=True):
    """The answer of `POST /admin/flags/hear`. brakes: ids of those in force now. why: where it does not confirm.

    blind: it has not reached the record since its start, and gives nobody more until then.
    """

    confirmed: bool
    process: str
    name: str
    n: int
    brakes: list[str]
    why: str | None = None
    blind: bool = False
