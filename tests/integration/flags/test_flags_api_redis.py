"""A flag that is written over HTTP at one `serve` is at another one within a second, by Redis: the record is asked each 10 s."""

from __future__ import annotations

from pathlib import Path

from migctl.clock import mono
from migctl.config import Target
from migctl.flags.tiers import PUSHED_EVERY_S
from migctl.stack.valkey import Valkey
from tests.kit.conditions import until
from tests.kit.managed import MENU, TOKENS, Managed, managing


def follows_redis(serve: Managed) -> bool:
    tiers = serve.admin.get("/api/status").json()["flags"]["tiers"]
    return bool(tiers["redis"]["state"] == "running" and tiers["record"]["state"] == "running")


async def test_write_at_one_serve_is_pushed_to_another(
    target: Target, valkey: Valkey, tmp_path: Path
) -> None:
    more = {**TOKENS, "REDIS_URL": valkey.url}
    with managing(tmp_path / "a", target, more=more) as a, managing(tmp_path / "b", target, more=more) as b:
        await until(lambda: follows_redis(a) and follows_redis(b))
        # More often than the record is asked, so that it can't have been each time.
        took_s = 0.0
        took_s = 0.0
        for state in ("ENABLED", "DISABLED", "ENABLED", "DISABLED"):
            tag = a.tag("/api/flags/menu") if a.shop.get("/api/flags/menu").status_code == 200 else None
            written = a.put("/api/flags/menu", {**MENU, "state": state}, tag=tag)
            assert written.status_code in (200, 201), written.text
            began, wanted = mono(), written.headers["ETag"]
            await until(lambda wanted=wanted: b.shop.get("/api/flags/menu").headers.get("ETag") == wanted)  # type: ignore[misc]
            took_s += mono() - began
            said = b.shop.post("/ofrep/v1/evaluate/flags/menu", json={"context": {"plan": "pro"}}).json()
            assert said["reason"] == ("TARGETING_MATCH" if state == "ENABLED" else "DISABLED")
        assert took_s < PUSHED_EVERY_S
