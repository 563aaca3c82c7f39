"""Actions on the load."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from migctl.drills.document import Section
from migctl.drills.functions.registry import action
from migctl.drills.world.deployment import Deployment


class OfSeconds(Section):
    seconds: Annotated[float, Field(gt=0, description="seconds, above 0")]


@action("wait", OfSeconds)
def wait(_: Deployment, of: OfSeconds) -> str:
    """Time passes; the drill's runner does the waiting, and watches the processes meanwhile."""
    return f"{of.seconds:g} s"
