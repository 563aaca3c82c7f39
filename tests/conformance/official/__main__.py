"""`python -m tests.conformance.official [SUITE...]`: the suites of Supabase's own clients and of Realtime, against the stand-in.

| suite | what | runs by |
|---|---|---|
| python | supabase-py, `src/realtime/tests` | pytest, with the client of that checkout |
| js | supabase-js, `test/integration.test.ts` | Bun, with the newest client of the registry |
| realtime | realtime, `test/e2e/realtime-check.ts`, all that is no load | Bun |

Each has a stack of its own. Their sources are cloned from GitHub, or from where `--from SUITE=REPOSITORY` says, and what they need
is installed from PyPI and npm, into a folder that goes again. Nothing of them is kept here.

Exit code 0: all passed, but for what the stand-in does not have; 1: something failed; 3: something could not be had.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from migctl.config import Target
from migctl.stack.embedded import EmbeddedStack

SOURCES = {
    "python": "https://github.com/supabase/supabase-py",
    "js": "https://github.com/supabase/supabase-js",
    "realtime": "https://github.com/supabase/realtime",
}
# By a part of their names: files are not stored here; and Bun loses the span that a request belongs to.
NOT_HERE = ("Storage API", "server receives the traceparent of the active span")
# The first that has what the suite imports. npm would take an older one where Node is older than it wants; Bun runs it.
_CLIENT = "@supabase/supabase-js@>=2.111.0 <3"
_INSTALL_S = 600
_RUN_S = 600
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# As pytest, Bun and realtime-check write the line of a test: the word before the name, or behind it.
_VERDICT = re.compile(
    r"^(?:\((pass|fail)\)|(PASS|FAIL) ) *(.+?)(?: +\[?[0-9.]+ ?ms\b.*)?$|^(\S+::.+?) (PASSED|FAILED|ERROR)\b"
)


class NotToBeHad(Exception):
    """Something that a suite needs is not on this machine and can't be brought to it."""


@dataclass(frozen=True)
class Verdicts:
    passed: list[str]
    failed: list[str]
    not_here: list[str]


def verdicts_of(text: str) -> Verdicts:
    """What became of each test, from what a runner wrote."""
    found = Verdicts([], [], [])
    for line in map(str.strip, _COLOURS.sub("", text).splitlines()):
        match = _VERDICT.match(line)
        if match is None:
            continue
        name = match[3] or match[4]
        if (match[1] or match[2] or match[5]).lower() in ("pass", "passed"):
            found.passed.append(name)
        elif any(part in name for part in NOT_HERE):
            found.not_here.append(name)
        else:
            found.failed.append(name)
    # Bun names what failed once more at the end.
    return Verdicts(found.passed, list(dict.fromkeys(found.failed)), list(dict.fromkeys(found.not_here)))


def obtain(words: Sequence[str | Path], folder: Path) -> None:
    """Run what brings something here. Raises NotToBeHad, with its last words."""
    try:
        done = subprocess.run(
            [str(word) for word in words],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_INSTALL_S,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise NotToBeHad(f"{words[0]}: {type(error).__name__}") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
        raise NotToBeHad(f"{' '.join(str(word) for word in words[:3])}: {last}")


def run(words: Sequence[str | Path], folder: Path, **environ: str) -> str:
    """Everything that a runner wrote."""
    done = subprocess.run(
        ["env", *(f"{name}={value}" for name, value in environ.items()), *(str(word) for word in words)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_RUN_S,
        check=False,
    )
    return done.stdout


def migrate(target: Target, folder: Path) -> None:
    """Apply a suite's migrations, but for those of what is not here."""
    with psycopg.connect(target.need("database_url"), autocommit=True) as connection:
        for file in sorted(folder.glob("*.sql")):
            text = file.read_text(encoding="utf-8")
            if "storage." not in text:
                connection.execute(text.encode())


def python(source: Path, work: Path, target: Target) -> str:
    folder = source / "src" / "realtime"
    obtain([sys.executable, "-m", "venv", work / "venv"], work)
    needed = (
        "websockets<16",
        "pydantic",
        "typing-extensions",
        "pytest",
        "pytest-asyncio",
        "python-dotenv",
        "aiohttp",
    )
    obtain([work / "venv" / "bin" / "pip", "install", "--quiet", *needed], work)
    migrate(target, folder / "infra" / "supabase" / "migrations")
    return run(
        [work / "venv" / "bin" / "pytest", "-v", "-c", "/dev/null", "--rootdir", folder, "tests"],
        folder,
        PYTHONPATH="src",
        SUPABASE_URL=target.need("supabase_url"),
        SUPABASE_PUBLISHABLE_KEY=target.need("anon_key"),
    )


def js(source: Path, work: Path, target: Target) -> str:
    folder = source / "packages" / "core" / "supabase-js"
    packages = ("api", "context-async-hooks", "core", "sdk-trace-node")
    install(work, _CLIENT, "jsonwebtoken", "ws", *(f"@opentelemetry/{name}" for name in packages))
    migrate(target, folder / "supabase" / "migrations")
    text = (folder / "test" / "integration.test.ts").read_text(encoding="utf-8")
    text = text.replace("'../src/index'", "'@supabase/supabase-js'")
    text = text.replace("'../src/tracing'", "'@supabase/supabase-js/tracing'")
    for name, value in (
        ("SUPABASE_URL", target.need("supabase_url")),
        ("PUBLISHABLE_KEY", target.need("anon_key")),
        ("JWT_SECRET", target.need("jwt_secret")),
    ):
        text = re.sub(rf"^(const {name} =)\s*'[^']*'", rf"\1 '{value}'", text, count=1, flags=re.MULTILINE)
    (work / "integration.test.ts").write_text(text, encoding="utf-8")
    return run([work / "node_modules" / ".bin" / "bun", "test", "./integration.test.ts"], work)


def realtime(source: Path, work: Path, target: Target) -> str:
    folder = source / "test" / "e2e"
    install(folder)
    options = {
        "--env": "local",
        "--url": target.need("supabase_url"),
        "--db-url": target.need("database_url"),
        "--publishable-key": target.need("anon_key"),
        "--secret-key": target.need("service_role_key"),
        "--test": "functional",
    }
    words = [word for pair in options.items() for word in pair]
    return run([folder / "node_modules" / ".bin" / "bun", "run", "realtime-check.ts", *words], folder)


def install(folder: Path, *packages: str) -> None:
    """Bun is a package of the registry whose program is linked by a script of its own."""
    obtain(["npm", "install", "--no-audit", "--no-fund", "bun", *packages], folder)
    obtain(["node", "install.js"], folder / "node_modules" / "bun")


SUITES = {"python": python, "js": js, "realtime": realtime}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.official", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all without one")
    parser.add_argument("--from", action="append", default=[], dest="sources", metavar="SUITE=REPOSITORY")
    asked = parser.parse_args()
    sources = {**SOURCES, **dict(word.split("=", 1) for word in asked.sources)}
    if not set(asked.suites) | set(sources) <= set(SUITES):
        parser.error(f"a suite is one of {', '.join(SUITES)}")
    codes = [conduct(name, sources[name]) for name in asked.suites or SUITES]
    return 3 if 3 in codes else max(codes)


def conduct(name: str, repository: str) -> int:
    """One suite, from its source to its figures. Returns the exit code."""
    work = Path(tempfile.mkdtemp(prefix=f"official-{name}-"))
    try:
        obtain(["git", "clone", "--quiet", "--depth", "1", repository, work / "source"], work)
        with EmbeddedStack(work / "stack", keys="old") as stack:
            text = SUITES[name](work / "source", work, stack.target)
    except NotToBeHad as error:
        report(
            f"{name}: NOT RUN: {error}",
            "  it needs the network, git, node and npm; --from SUITE=REPOSITORY takes a clone",
        )
        return 3
    finally:
        shutil.rmtree(work, ignore_errors=True)
    found = verdicts_of(text)
    if not found.passed:
        report(f"{name}: NOT RUN: no test of it passed; the end of what it wrote:", text[-2000:])
        return 1
    report(*(f"{name}: failed: {test}" for test in found.failed))
    report(*(f"{name}: not part of the stand-in: {test}" for test in found.not_here))
    report(f"{name}: {len(found.passed)} passed, {len(found.failed)} failed")
    return 1 if found.failed else 0


def report(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
