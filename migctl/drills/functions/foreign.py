"""Activities that are no functions of ours: a program, or a request."""

from __future__ import annotations

import signal
import subprocess

from migctl.drills.document import Activity, HttpProvider, ProcessProvider
from migctl.errors import Transient

# Of what a program or a server answers, so much is kept to be shown.
MOST_TEXT = 2000

_BY_TERMINAL = -signal.SIGINT


def ask(activity: Activity) -> tuple[object, bool]:
    """What it answered (an exit code, a status; with a regex its text), and whether that is tolerated. Raises Transient."""
    match activity.provider:
        case ProcessProvider() as of:
            code, text = _run(of)
            return _judge(activity, code, text, 0)
        case HttpProvider() as of:
            status, text = _request(of)
            return _judge(activity, status, text, 200)
        case _:
            raise AssertionError(f"{activity.name} is a function of ours")


def _judge(activity: Activity, code: int, text: str, otherwise: int) -> tuple[object, bool]:
    if activity.tolerance is None:
        return code, code == otherwise
    if activity.tolerates(code):
        return code, True
    return (text, True) if activity.tolerates(text) else (code, False)


def _run(of: ProcessProvider) -> tuple[int, str]:
    try:
        done = _started(of)
        if done.returncode == _BY_TERMINAL and not done.stdout:
            # A Ctrl-C at the terminal that came between the fork and the session of its own: the program has never begun.
            done = _started(of)
    except OSError as error:
        raise Transient(f"{of.path}: {error.strerror}", do="name a program that can be run") from None
    except subprocess.TimeoutExpired:
        raise Transient(
            f"{of.path}: not done within {of.timeout:g} s", do="give it more with `timeout`"
        ) from None
    return done.returncode, done.stdout.decode("utf-8", "replace")[:MOST_TEXT]


def _started(of: ProcessProvider) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [of.path, *of.arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=of.timeout,
        check=False,
        start_new_session=True,  # a second Ctrl-C at the drill is not meant for what undoes it
    )


def _request(of: HttpProvider) -> tuple[int, str]:
    import httpx

    try:
        answer = httpx.request(
            of.method, of.url, headers=of.headers, json=of.arguments, timeout=of.timeout, trust_env=False
        )
    except httpx.HTTPError as error:
        raise Transient(f"{of.url}: {error or type(error).__name__}", do="is it running?") from None
    return answer.status_code, answer.text[:MOST_TEXT]
