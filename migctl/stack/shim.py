"""Becomes the program it is given: ties it to its parent's life, steps down from root, then execs.

Run by path in an isolated interpreter, `python -I -S shim.py PARENT SIGNAL IDENTITY PROGRAM ARG...`, so it imports only a little
of the standard library. A process of its own rather than a `preexec_fn`: nothing of ours runs between fork and exec of a process
with threads.

IDENTITY: `same`; `namespace:UID` (we appear as UID in a user namespace; files stay ours); `UID:GID` (a system user).
Exit code 97, with the reason on stderr, where this can't be done.
"""

import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
FAILED = 97


def _enter_user_namespace(libc: ctypes.CDLL, inside: int) -> None:
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside} {uid} 1"),
        ("gid_map", f"{inside} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib costs 10 ms of start-up here
            file.write(text)


def main(arguments: list[str]) -> None:
    parent, death, identity, program = arguments[:4]
    libc = ctypes.CDLL(None, use_errno=True)
    if identity.startswith("namespace:"):
        _enter_user_namespace(libc, int(identity.removeprefix("namespace:")))
    elif identity != "same":
        uid, gid = (int(part) for part in identity.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After the change of credentials, which would clear it.
    if libc.prctl(PR_SET_PDEATHSIG, int(death), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != int(parent):  # the parent died before we were tied to it
        os._exit(0)
    os.umask(0o077)
    os.execv(program, arguments[3:])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.stderr.write(f"shim: {error}\n")
        os._exit(FAILED)
