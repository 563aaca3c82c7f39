"""What a test starts of us, and what that starts of us, are processes as ever, but forked from one that has the imports: they are
most of what a start costs, and two processors would do little else.

Everything else is as `subprocess` does it: whose child it is, its session, its files, its environment, the signal that it gets when
its parent dies. Only its command line says what it was forked from. Whom that concerns starts it with REAL in its environment.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import functools
import gc
import inspect
import json
import os
import pkgutil
import random
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module, reload
from pathlib import Path
from typing import Any, NoReturn

import migctl
from migctl.stack import launcher

_SHIM = str(Path(launcher.__file__).with_name("shim.py"))
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_ORDER_BYTES = 1 << 20
# Of an environment: whoever has it is started as ever.
REAL = {"PYTHONREALSTART": "1"}
# Commands that start more of us than one.
_STARTERS = ("demo", "drill", "stack")
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP)

_NAMES = [name for name in inspect.signature(subprocess.Popen._execute_child).parameters if name != "self"]  # type: ignore[attr-defined]


def _for_a_start(name: str) -> bool:
    """What the loader or the interpreter has to know before a program begins."""
    return name.startswith(("LD_", "PYTHON", "MALLOC"))


def plant() -> None:
    """From now on, in this process."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ORDER_BYTES)
    if os.fork() == 0:
        ours.detach()
        _wait_for_orders(its.detach())
    its.close()
    _Popen.seed = ours
    _Popen.at_begin = {name: value for name, value in os.environ.items() if _for_a_start(name)}
    subprocess.Popen = _Popen  # type: ignore[misc]


class _Popen(subprocess.Popen[Any]):
    seed: socket.socket
    at_begin: Mapping[str, str]
    _one_at_a_time = threading.Lock()

    def _execute_child(self, *values: Any) -> None:
        how = dict(zip(_NAMES, values, strict=True))
        order = _order(how, self.at_begin)
        if order is None or not self._begin(order, how):
            super()._execute_child(*values)  # type: ignore[misc]

    def _begin(self, order: dict[str, Any], how: Mapping[str, Any]) -> bool:
        """False where nobody takes the order any more."""
        files = [
            file if file != -1 else own
            for own, file in enumerate((how["p2cread"], how["c2pwrite"], how["errwrite"]))
        ]
        with self._one_at_a_time:
            # Who is forked for us has no parent but us.
            if _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
                return False
            try:
                socket.send_fds(self.seed, [json.dumps(order).encode()], files)
                said = self.seed.recv(100)
            except OSError:
                return False
            finally:
                _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        if not said:
            return False
        self.pid = int(said)
        self._child_created = True
        self._close_pipe_fds(*(how[name] for name in _NAMES if name.endswith(("read", "write"))))  # type: ignore[attr-defined]
        return True


def _order(how: Mapping[str, Any], at_begin: Mapping[str, str]) -> dict[str, Any] | None:
    """None for what is no program of ours, or needs more than is done here."""
    words = how["args"]
    if (
        isinstance(words, (str, bytes, os.PathLike))
        or how["shell"]
        or how["executable"] not in (None, words[0])
    ):
        return None
    if how["preexec_fn"] or how["pass_fds"] or not how["close_fds"]:
        return None
    if how["gid"] is not None or how["gids"] is not None or how["uid"] is not None:
        return None
    if how.get("process_group", -1) != -1:
        return None
    words = [os.fsdecode(word) for word in words]
    death = 0
    if words[1:4] == ["-I", "-S", _SHIM]:
        parent, death_, identity = words[4:7]
        if int(parent) != os.getpid() or identity != "same":
            return None
        death, words = int(death_), words[7:]
    module = _module(words)
    environ = dict(how["env"] if how["env"] is not None else os.environ)
    environ = {os.fsdecode(name): os.fsdecode(value) for name, value in environ.items()}
    if module is None or {name: environ[name] for name in environ if _for_a_start(name)} != at_begin:
        return None
    return {
        "module": module[0],
        "arguments": module[1],
        "environ": environ,
        "cwd": os.fspath(how["cwd"]) if how["cwd"] is not None else str(Path.cwd()),
        "umask": 0o077 if death else how["umask"],
        "new_session": bool(how["start_new_session"]),
        "death": death,
        "parent": os.getpid(),
    }


def _module(words: Sequence[str]) -> tuple[str, list[str]] | None:
    if not words or words[0] != sys.executable:
        return None
    rest = list(words[1:])
    if rest[:1] == ["-P"]:
        del rest[0]
    if len(rest) < 2 or rest[0] != "-m" or rest[1].partition(".")[0] not in ("migctl", "tests"):
        return None
    return rest[1], rest[2:]


def _wait_for_orders(file: int) -> NoReturn:
    """The seed: it does nothing but fork, until who planted it is gone."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    faulthandler.disable()
    for own in range(3):
        _become(os.open(os.devnull, os.O_RDWR), own)
    _become(file, 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    orders = socket.socket(fileno=3)
    while True:
        order, files, _, _ = socket.recv_fds(orders, _ORDER_BYTES, 3)
        if not order:
            os._exit(0)
        _everything()
        pid_of, pid_to = os.pipe()
        begin, go = os.pipe()
        between = os.fork()
        if between == 0:
            pid = os.fork()
            if pid == 0:
                os.close(go)
                os.read(begin, 1)
                _live(json.loads(order), files)
            os.write(pid_to, str(pid).encode())
            os._exit(0)
        pid = os.read(pid_of, 20)
        os.waitpid(between, 0)  # from now on who ordered it is its parent
        for file in (go, begin, pid_of, pid_to, *files):
            os.close(file)
        orders.send(pid)


def _become(file: int, own: int) -> None:
    if file != own:
        os.dup2(file, own)
        os.close(file)


@functools.cache
def _everything() -> None:
    """Import what a command may need, as far as that is here; as if nobody tested it."""
    reload(warnings)
    warnings.resetwarnings()
    for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", kind)
    tempfile.tempdir = None
    sys.meta_path[:] = [one for one in sys.meta_path if "pytest" not in type(one).__module__]
    for found in pkgutil.walk_packages(migctl.__path__, "migctl."):
        if not found.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # of an extra that is not installed
                import_module(found.name)
    gc.collect()
    gc.freeze()  # nobody who is forked looks through what is never garbage


def _live(order: dict[str, Any], files: Sequence[int]) -> NoReturn:
    """The whole life of a program."""
    code = 1
    try:
        if os.getppid() != order["parent"]:
            os._exit(0)
        if order["death"]:
            _LIBC.prctl(_PR_SET_PDEATHSIG, order["death"], 0, 0, 0)
            if os.getppid() != order["parent"]:
                os._exit(0)
        for own, file in enumerate(files):
            os.dup2(file, own)
        os.closerange(3, max(files) + 20)
        sys.stdin = _opened(0, "r")
        sys.stdout = _opened(1, "w")
        sys.stderr = _opened(2, "w", buffering=1, errors="backslashreplace")
        sys.excepthook, sys.unraisablehook = sys.__excepthook__, sys.__unraisablehook__
        threading.excepthook = threading.__excepthook__
        for number in _IGNORED:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if order["new_session"]:
            os.setsid()
        if order["umask"] >= 0:
            os.umask(order["umask"])
        os.environ.clear()
        os.environ.update(order["environ"])
        time.tzset()
        os.chdir(order["cwd"])
        random.seed()
        subprocess.Popen = _Popen.__base__  # type: ignore[misc, assignment]
        if order["module"] == "migctl.stack.supervisor" or set(_STARTERS) & set(order["arguments"][:1]):
            plant()
        sys.argv = [order["module"], *order["arguments"]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that its module has been imported before
            runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = _code(end)
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        _flushed()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    os._exit(code if _flushed() else 120)


def _opened(file: int, mode: str, **how: Any) -> Any:
    return open(file, mode, closefd=False, **how)


def _code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return (end.code or 0) & 0xFF
    sys.stderr.write(f"{end.code}\n")
    return 1


def _flushed() -> bool:
    """Whether what was written has gone out."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return False
    return True
