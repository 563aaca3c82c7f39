"""The stand-in for Supabase as a process: started with our launcher, ready when `GET /health` answers 200."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Self, get_args

from migctl.errors import Systemic
from migctl.stack.keys import Credentials
from migctl.stack.launcher import launch
from migctl.stack.running import Running

MODULE = "migctl.stack.standin"
_START_S = 30.0
Rates = Literal["no-cap", "off", "pro", "free", "self-hosted"]
RATES: tuple[Rates, ...] = get_args(Rates)
_ALWAYS_EXPOSED = ("public", "graphql_public")


@dataclass(frozen=True, slots=True)
class StandinOptions:
    """What a stand-in is started with. schemas: exposed by REST, the default first. rates: whose limits it keeps, or `off`."""

    schemas: tuple[str, ...] = _ALWAYS_EXPOSED
    rates: Rates = "no-cap"

    def with_schemas(self, names: Iterable[str]) -> Self:
        """The same, and these exposed too. What is exposed once stays so: two commands must not take it from each other."""
        return replace(self, schemas=tuple(dict.fromkeys((*self.schemas, *names))))


class StandinProcess(Running):
    """One stand-in on `port`, working on one database; a child of this process while it runs."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        database_url: str,
        jwt_secret: str | None = None,
        credentials: Credentials | None = None,
        options: StandinOptions | None = None,
    ) -> None:
        """credentials: what it goes by; default: jwt_secret alone. They and options may be changed; the next start takes them."""
        super().__init__(port)
        self.options = options or StandinOptions()
        self.credentials = credentials or Credentials(jwt_secret)
        self._folder = folder.absolute()
        self._database_url = database_url

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def begin(self) -> None:
        """Start it, and wait for nothing. Raises Systemic where this installation lacks it."""
        if not standin_is_there():
            raise Systemic(
                f"this installation of migctl has no stand-in for Supabase ({MODULE} can't be run)",
                do="install migctl again: pip install --force-reinstall migctl",
            )
        program = [sys.executable, "-P", "-m", MODULE, "--listen", f"127.0.0.1:{self.port}"]
        # SIGKILL when the owner dies: it keeps nothing, and a stand-in that hangs or was stopped goes too.
        self._child = launch(
            [
                *program,
                *("--schemas", ",".join(self.options.schemas), "--rates", self.options.rates),
            ],
            log=self._folder / "standin.log",
            death=signal.SIGKILL,
            environ={**os.environ, **environment(self._database_url, self.credentials)},
        )

    def wait_ready(self) -> None:
        self._wait_for("the stand-in for Supabase", self._is_healthy, _START_S)

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def environment(database_url: str, credentials: Credentials) -> dict[str, str]:
    """What is secret of a stand-in's start: a command line is read by every user of the machine."""
    return {
        "MIGCTL_STANDIN_DATABASE_URL": database_url,
        "MIGCTL_STANDIN_JWT_SECRET": credentials.jwt_secret or "",
        "MIGCTL_STANDIN_API_KEYS": json.dumps(dict(credentials.api_keys)),
        "MIGCTL_STANDIN_SIGNING_KEYS": f"[{','.join(credentials.signing_keys)}]",
    }


def standin_is_there() -> bool:
    """Whether `python -m migctl.stack.standin` can be run from this installation."""
    try:
        return find_spec(f"{MODULE}.__main__") is not None
    except ModuleNotFoundError:
        return False
