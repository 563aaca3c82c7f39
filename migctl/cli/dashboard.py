"""`migctl dashboard`: the page that `serve` shows at `/`."""

from __future__ import annotations

import typer

from migctl.cli import context, output

app = typer.Typer(help="The page that `serve` shows at `/`.", no_args_is_help=True)


@app.callback()
def dashboard() -> None:
    """The page that `serve` shows at `/`."""


@app.command(short_help="Fetch the chart library of the page from npm.")
def build(output_format: context.OutputOption = "text") -> None:
    """Fetch the chart library that the page draws with, from npm, as its lock file names it.

    It comes with the package; this is for an installation that could not reach the registry. No Node.js is needed: where there is
    none, one is fetched for the moment. A running serve shows it with the next load of the page.

    \b
    migctl dashboard build
    """
    from migctl.dashboard.building import NotFetched, fetch
    from migctl.errors import Transient

    try:
        files = fetch()
    except NotFetched as error:
        raise Transient(
            f"the chart library can't be fetched: {error}",
            do="see that the npm registry can be reached, or install Node.js with npm; until then the page has no plots",
        ) from None
    if output_format == "json":
        output.document({"schema": "migctl.dashboard/1", "files": [str(path) for path in files]})
        return
    for path in files:
        output.plain(str(path))
