"""A display for long work: live on a terminal, a line per phase elsewhere. Always on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migctl.cli import output

if TYPE_CHECKING:
    from rich.console import RenderableType


class Display:
    """`with Display(quiet=...) as display: display.show(seconds, line, drawn)`. quiet: nothing is shown at all, as with `-q`."""

    def __init__(self, *, quiet: bool) -> None:
        from rich.live import Live

        quiet = quiet or output.is_quiet()
        self._console = output.console_err()
        live = self._console.is_terminal and not quiet
        self._live = Live(console=self._console, refresh_per_second=8, transient=True) if live else None
        self._quiet = quiet
        self._last = ""

    def __enter__(self) -> Display:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(
        self, seconds: float, line: str, drawn: RenderableType | None = None, *, style: str = ""
    ) -> None:
        """seconds: since the start. line: what goes on; printed once. drawn: what a terminal shows below the lines."""
        if drawn is not None:
            self.draw(drawn)
        if line and line != self._last and not self._quiet:
            from rich.text import Text

            self._console.print(
                Text.assemble((f"{seconds:5.1f} s", "dim"), "  ", (line, style)), soft_wrap=True
            )
        self._last = line

    @property
    def is_live(self) -> bool:
        """Somebody sees what is drawn."""
        return self._live is not None

    def draw(self, drawn: RenderableType) -> None:
        """Below the lines of a terminal, in place of what was drawn before."""
        if self._live is not None:
            self._live.update(drawn)
