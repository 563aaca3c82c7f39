"""A pipeline: the stages that stand in one direction of one connection, in their order. Pure: times and randomness are arguments.

What comes out is always a beginning of what was put in. Without a toxic that takes bytes (timeout, reset_peer, limit_data) it is
all of it, though toxics come, change and go on the way.
"""

from __future__ import annotations

from typing import NamedTuple

from migctl.faults.stages import Draw, Latency, Mark, Piece, Stage, may_follow, stage_of
from migctl.faults.toxics import Toxic


class _Placed(NamedTuple):
    """place: as `Toxics` counts. name: None: its toxic is gone, and it stays."""

    place: int
    name: str | None
    stage: Stage


class Pipeline:
    """delay_s: of the line itself, which is always there and stands before every toxic."""

    def __init__(self, delay_s: float, draw: Draw) -> None:
        self._draw = draw
        self.line = Latency(delay_s, 0.0, draw)
        self._stages = [_Placed(0, None, self.line)]
        self._out: list[Piece] = []
        self._ended: Mark | None = None

    @property
    def vanished(self) -> bool:
        """Bytes were taken that nobody will get: nothing that comes later passes either."""
        return any(each.stage.vanished for each in self._stages)

    @property
    def is_lost(self) -> bool:
        """Bytes were taken by a toxic that is gone, so that nothing passes though no toxic holds it."""
        return any(each.name is None and each.stage.vanished for each in self._stages)

    @property
    def is_full(self) -> bool:
        """Whether the sender should wait."""
        return any(each.stage.held > each.stage.room for each in self._stages)

    def is_clear(self, now: float) -> bool:
        """What comes now would come out now, and nothing is before it."""
        return len(self._stages) == 1 and self._ended is None and not self._out and self.line.is_clear(now)

    def has(self, kind: type[Stage]) -> bool:
        return any(isinstance(each.stage, kind) for each in self._stages)

    def install(self, place: int, toxic: Toxic, now: float, *, is_open: bool) -> None:
        """is_open: the connection was there before the toxic."""
        stage = stage_of(toxic.type, toxic.attributes, now, is_open=is_open, draw=self._draw)
        self._stages.append(_Placed(place, toxic.name, stage))
        self._stages.sort(key=lambda each: each.place)

    def update(self, place: int, toxic: Toxic, now: float, *, wanted: bool) -> None:
        """Other attributes. wanted: whether this connection has it, now that it was drawn again."""
        index = self._index(toxic.name)
        if index is None:
            if wanted:
                self.install(place, toxic, now, is_open=True)
        elif wanted:
            self._stages[index].stage.update(toxic.attributes, now)
        else:
            self.lift(toxic.name, now)

    def has_toxic(self, name: str) -> bool:
        return self._index(name) is not None

    def lift(self, name: str, now: float) -> None:
        """What it holds goes on now. One that took bytes stays as it is: what it took can't come any more, nor what follows."""
        index = self._index(name)
        if index is None:
            return
        place, _, stage = self._stages[index]
        if stage.vanished:
            self._stages[index] = _Placed(place, None, stage)
            return
        del self._stages[index]
        for piece in stage.lift(now):
            self._pass(index, piece)

    def put(self, data: bytes, now: float, mark: Mark | None = None) -> None:
        self._pass(0, Piece(now, data, mark))

    def due(self) -> float | None:
        """When something next leaves a stage."""
        if self._out:
            return self._out[0].at
        return min((at for each in self._stages if (at := each.stage.due()) is not None), default=None)

    def advance(self, now: float) -> list[Piece]:
        """What has come out by now."""
        for index, each in enumerate(self._stages):
            for piece in each.stage.advance(now):
                self._pass(index + 1, piece)
        out, self._out = self._out, []
        return out

    def _pass(self, index: int, piece: Piece) -> None:
        if index < len(self._stages):
            self._stages[index].stage.put(piece)
        elif may_follow(self._ended, piece.mark):
            self._ended = piece.mark
            self._out.append(piece)

    def _index(self, name: str) -> int | None:
        return next((at for at, each in enumerate(self._stages) if each.name == name), None)
