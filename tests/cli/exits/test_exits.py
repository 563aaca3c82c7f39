"""Exit codes: one table in code, and every command run into each of those that it declares."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest

from migctl.cli import endings
from migctl.config import Target
from migctl.exits import Exit
from tests.cli.test_doors import HOSTED
from tests.kit.deadletters import Commands, Ended
from tests.kit.endings import ALONE, ELSEWHERE, FILES, ON_A_TARGET, examples, listed, words_of
from tests.kit.serve_process import run
from tests.kit.targets import environment_of

ROOT = Path(__file__).parents[3]
# These have a log, or a loop, of the whole process.
OF_THEIR_OWN = ("serve", "capture", "tail", "validate watch", "drill run", "rollout run")

# More than a line of a terminal: in a pipe it stays one all the same.
REASON = "a reason of many words " * 6 + "at its end"


def padded(done: Ended) -> list[str]:
    """Lines of stdout that end with blanks: in a pipe there is none."""
    return [line for line in done.stdout.splitlines() if line != line.rstrip()]


def test_no_other_number_stands_in_the_code() -> None:
    bare = re.compile(r"(?:typer\.Exit|sys\.exit)\(\d|\bexit_code(?:: [\w\[\]]+)? = \d|\bEXIT_[A-Z]+ = \d")
    found = [
        f"{path}: {line.strip()}"
        for path in (ROOT / "migctl").rglob("*.py")
        for line in path.read_text().splitlines()
        if bare.search(line)
    ]
    assert found == []


def test_every_command_declares_its_codes_and_there_is_no_other() -> None:
    assert set(endings.OWN) == set(listed())


def test_the_readme_has_the_table() -> None:
    readme = (ROOT / "README.md").read_text()
    rows = "".join(f"| {code.value} | {code.meaning} |\n" for code in Exit)
    assert f"| code | meaning |\n|---|---|\n{rows}" in readme


def test_help_says_what_codes_mean_and_each_command_which_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    migctl = Commands(tmp_path, {}, monkeypatch, capsys)
    page = migctl("help", "exit-codes")
    assert page.returncode == 0
    assert [line.split(maxsplit=1) for line in page.stdout.splitlines()] == [
        [str(code.value), code.meaning] for code in Exit
    ]
    helped = " ".join(migctl("help", "schema", "status").stdout.split())
    assert "Exit codes: 0 done, 1 wanting, 2 usage, 3 unreachable, 4 refused;" in helped


def test_each_code_of_each_command_is_run_into_here_or_by_a_test_that_is_there() -> None:
    away = {(name, Exit.UNREACHABLE) for name in listed()} | {(name, Exit.REFUSED) for name in listed()}
    missing = [
        f"{name}: {code.name}"
        for name, own in endings.OWN.items()
        for code in (Exit.DONE, *own)
        if (name, code) not in {*ALONE, *ON_A_TARGET, *ELSEWHERE, *away}
    ]
    assert missing == []
    gone = []
    for (name, code), place in ELSEWHERE.items():
        path, _, test = place.partition("::")
        names = {
            node.name
            for node in ast.parse((ROOT / path).read_text()).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        if test not in names:
            gone.append((name, code.name, place))
        declared = (Exit.DONE, *endings.OWN[name])
        assert code in declared, (name, code)
    assert gone == []


class TestAlone:
    """With a target that is away, and nothing that runs."""

    @pytest.fixture
    def migctl(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Commands:
        for name, text in FILES.items():
            (tmp_path / name).write_text(text)
        (tmp_path / "supabase" / "migrations").mkdir(parents=True)
        shutil.copytree(ROOT / "configs", tmp_path / "configs")
        return Commands(
            tmp_path, {**HOSTED, "npm_config_registry": "http://127.0.0.1:9"}, monkeypatch, capsys
        )

    def ended(self, migctl: Commands, name: str, words: list[str]) -> Ended:
        if name in OF_THEIR_OWN:
            done = run(migctl.folder, *words, more=migctl.environ)
            return Ended(done.returncode, done.stdout, done.stderr)
        return migctl(*words)

    def test_a_typo_is_2(self, migctl: Commands) -> None:
        for name in listed():
            done = self.ended(migctl, "", [*name.split(), "--nonsense"])
            assert (done.returncode, "rror: " in done.stderr) == (Exit.UNUSABLE, True), (name, done)

    def test_settings_that_others_can_write_to_are_4(self, migctl: Commands) -> None:
        settings = migctl.folder / "migctl.yaml"
        settings.write_text("mode: dual\n")
        settings.chmod(0o666)
        for name, own in endings.OWN.items():
            if Exit.REFUSED in own:
                done = self.ended(migctl, name, words_of(name, ""))
                assert (done.returncode, "chmod go-w" in done.stderr) == (Exit.REFUSED, True), (name, done)

    @pytest.mark.slow
    def test_what_is_away_is_3(self, migctl: Commands) -> None:
        for name, own in endings.OWN.items():
            key = (name, Exit.UNREACHABLE)
            if Exit.UNREACHABLE in own and key not in ELSEWHERE:
                done = self.ended(migctl, name, words_of(name, ALONE.get(key, "")))
                assert (done.returncode, "error: " in done.stderr) == (Exit.UNREACHABLE, True), (name, done)

    def test_what_needs_nobody_is_done_or_found_wanting(self, migctl: Commands) -> None:
        migctl.monkeypatch.delenv("COLUMNS")
        for (name, wanted), words in ALONE.items():
            if wanted is not Exit.UNREACHABLE:
                done = self.ended(migctl, name, words_of(name, words))
                assert done.returncode == wanted, (name, done)
                assert padded(done) == [], name


def test_on_a_target_each_is_done_or_found_wanting(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    migctl = Commands(tmp_path, environment_of(standin), monkeypatch, capsys)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    nobody = (ROOT / "configs/flags/transport.yaml").read_text()
    more = nobody.replace("[realtime, 0]", "[realtime, 50]").replace("[websocket, 100]", "[websocket, 50]")
    (tmp_path / "more.yaml").write_text(more)
    monkeypatch.delenv("COLUMNS")
    for (name, wanted), words in ON_A_TARGET.items():
        done = migctl(*(REASON if word == "x" else word for word in words_of(name, words)))
        assert done.returncode == wanted, (name, wanted, done.stdout, done.stderr)
        assert padded(done) == [], name
        assert REASON in done.stdout or name != "flags history", (name, done.stdout)


def test_every_help_has_an_example_that_can_be_typed(tmp_path: Path) -> None:
    for name, command in listed().items():
        assert examples(command), name
        for words in examples(command):
            assert words[: len(name.split())] == name.split(), words
            command.make_context(f"migctl {name}", words[len(name.split()) :])
