"""Makes a file system of memory over a folder, which only this process sees, or enters where another one made it.

Run by path in an isolated interpreter, as `stack/shim.py` is, and for the same reasons:
`python -I -S mounting.py PARENT make FOLDER BYTES`, which then stays, and
`python -I -S mounting.py PARENT enter MAKER PROGRAM ARG...`, which becomes the program.

Root needs no more than a mount namespace. Anybody else makes a user namespace too, in which everybody stays who they are. What is
mounted is gone once the last process that sees it has ended. Exit code 97, with the reason on stderr, where this can't be done.
"""

import ctypes
import errno
import os
import signal
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
FAILED = 97
MADE = "made\n"

_libc = ctypes.CDLL(None, use_errno=True)


def _call(what: str, *arguments: object) -> None:
    if getattr(_libc, what)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _make(folder: str, size: str) -> None:
    uid, gid = os.getuid(), os.getgid()
    try:
        _call("unshare", CLONE_NEWNS)
    except PermissionError:
        _call("unshare", CLONE_NEWUSER | CLONE_NEWNS)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib costs 10 ms of start-up here
                file.write(text)
    # Before anything is mounted: where mounts are shared, as systemd has it, the whole machine would see it.
    _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    _call("mount", b"migctl", folder.encode(), b"tmpfs", 0, f"size={size},mode=700".encode())


def _enter(maker: str) -> None:
    for name, kind in (("user", CLONE_NEWUSER), ("mnt", CLONE_NEWNS)):
        theirs, ours = f"/proc/{maker}/ns/{name}", f"/proc/self/ns/{name}"
        if os.stat(theirs).st_ino == os.stat(ours).st_ino:  # noqa: PTH116
            continue
        place = os.open(theirs, os.O_RDONLY | os.O_CLOEXEC)
        _call("setns", place, kind)
        os.close(place)


def main(arguments: list[str]) -> None:
    parent, word, *rest = arguments
    if word == "make":
        _make(*rest)
    else:
        _enter(rest[0])
    # After the change of credentials, which clears it.
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):  # the parent died before we were tied to it
        os._exit(0)
    if word == "enter":
        os.execv(rest[1], rest[1:])
    sys.stdout.write(MADE)
    sys.stdout.flush()
    while True:
        signal.pause()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        words = error.strerror if error.errno not in (None, errno.ENOENT) else error
        sys.stderr.write(f"mounting: {words}\n")
        os._exit(FAILED)
