"""docs/tutorial.md in one shell: an old service reaches a PASS report, and what was not counted shows."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from migctl.stack.launcher import any_free_port

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()
[SERVICE] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
[SETTINGS] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
MIGCTL = (sys.executable, "-m", "migctl")
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_runs_as_it_stands(tmp_path: Path) -> None:
    port, listen = str(any_free_port()), f"127.0.0.1:{any_free_port()}"
    (tmp_path / "old.py").write_text(SERVICE.replace("9090", port))
    (tmp_path / "migctl.yaml").write_text(SETTINGS.replace("9090", port))
    # A reader is slower than a shell: what is asked for is there by then.
    there = "old.py & until (< /dev/tcp/127.0.0.1/9090) 2> /dev/null; do sleep 0.1; done"
    script = "".join(SHELL).replace("old.py &", there).replace("9090", port)
    script = script.replace(
        "--mode dual &", "--mode dual & until migctl tail --count 30 --wait 60 > /dev/null; do sleep 1; done"
    )
    environ = {
        key: value for key, value in os.environ.items() if not key.startswith(("MIGCTL_", "SUPABASE_"))
    }
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    environ["MIGCTL_LISTEN"] = listen
    script = re.sub(r"^migctl status$", "migctl status || [[ $? == 1 ]]", script, flags=re.MULTILINE)
    # As the page says: 1 where one of the ten is no event, and only there.
    preview = r"code=0; \1 > preview || code=$?; cat preview; grep -q rejected: preview && [[ $code == 1 ]] || [[ $code == 0 ]]"
    script = re.sub(r"^(migctl map preview ws://.*)$", preview, script, flags=re.MULTILINE)
    with (tmp_path / "out").open("w") as to:
        shell = subprocess.Popen(
            ["bash", "-c", f"set -e -x\n{script}"],
            cwd=tmp_path, env=environ, stdout=to, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        code = shell.wait(280)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)  # what a line that failed leaves behind
        subprocess.run([*MIGCTL, "stack", "down"], cwd=tmp_path, env=environ, check=False, timeout=180)
    out = (tmp_path / "out").read_text()
    assert code == 0, out
    assert "PASS" in out, out
    assert re.search(r"before the journal: [1-9]\d* rejected", out), out
    assert f"tap ws://127.0.0.1:{port}/ws" in out
    assert not (tmp_path / ".migctl" / "serve.json").exists(), out
