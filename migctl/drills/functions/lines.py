"""Faults of a line: to Supabase, or to our own gateway."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from migctl.drills.document import Section
from migctl.drills.functions.registry import Armed, fault
from migctl.drills.world.deployment import Deployment, Line
from migctl.faults import Toxic
from migctl.faults.toxics import Kind as ToxicKind
from migctl.faults.toxics import Stream


class OfLine(Section):
    line: Annotated[Line, Field(description="supabase or gateway")] = "supabase"


class OfToxic(OfLine):
    """As Toxiproxy has it."""

    type: Annotated[ToxicKind, Field(description="latency, bandwidth, timeout, reset_peer, slicer, ...")]
    stream: Annotated[Stream, Field(description="upstream or downstream")] = "downstream"
    toxicity: Annotated[float, Field(ge=0, le=1, description="a probability, 0 to 1")] = 1.0
    attributes: Annotated[dict[str, int], Field(description="key to whole number", default_factory=dict)]

    @model_validator(mode="after")
    def _is_one(self) -> OfToxic:
        self.toxic()
        return self

    def toxic(self) -> Toxic:
        """Raises ValueError where it is none."""
        return Toxic(self.type, dict(self.attributes), self.stream, self.toxicity)


class OfAnswers(OfLine):
    request: Annotated[str, Field(min_length=1, description="a text that the request holds")]


class OfBytes(OfLine):
    bytes: Annotated[int, Field(ge=0, description="bytes of answers that still pass")]


class OfDelay(OfLine):
    rtt_ms: Annotated[float, Field(ge=0, description="milliseconds there and back")]


@fault("refuse", OfLine)
def refuse(on: Deployment, of: OfLine) -> Armed:
    """Connections are refused, and those that are open are reset."""
    on.lines[of.line].enable(False)
    return Armed(lambda: on.lines[of.line].enable(True))


@fault("black-hole", OfLine)
def black_hole(on: Deployment, of: OfLine) -> Armed:
    """Connections stay open, and no byte comes through either way."""
    on.lines[of.line].do("black_hole")
    return Armed(lambda: on.lines[of.line].do("heal"))


@fault("reset", OfLine)
def reset(on: Deployment, of: OfLine) -> Armed:
    """Every open connection is reset once."""
    return Armed(lambda: None, f"{on.lines[of.line].do('reset').connections} connections so far")


@fault("lose-answers", OfAnswers)
def lose_answers(on: Deployment, of: OfAnswers) -> Armed:
    """Requests arrive, and the connection is cut when their answer begins."""
    before = on.lines[of.line].do("lose_answers", of.request).cuts
    return Armed(lambda: on.lines[of.line].do("heal"), f"to {of.request}, {before} lost before")


@fault("cut-after", OfBytes)
def cut_after(on: Deployment, of: OfBytes) -> Armed:
    """One connection is closed in the middle of an answer, after so many bytes."""
    on.lines[of.line].do("cut_after", of.bytes)
    return Armed(lambda: on.lines[of.line].do("heal"), f"after {of.bytes} bytes")


@fault("delay", OfDelay)
def delay(on: Deployment, of: OfDelay) -> Armed:
    """The line takes so long there and back."""
    line, before = on.lines[of.line], on.rtt_s if of.line == "supabase" else 0.0
    line.do("delay", of.rtt_ms / 2000)
    return Armed(lambda: line.do("delay", before / 2), f"{of.rtt_ms:g} ms there and back")


@fault("toxic", OfToxic)
def toxic(on: Deployment, of: OfToxic) -> Armed:
    """A toxic of Toxiproxy; connections that are open get it too."""
    made, line = of.toxic(), on.lines[of.line]
    line.add(made)
    lifted: list[bool] = []

    def lift() -> None:
        if not lifted:
            line.remove(made.name)
            lifted.append(True)

    return Armed(lift, made.name)
