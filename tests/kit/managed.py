"""A `serve` whose flags are read and changed over HTTP, on a real record."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from migctl.config import Target
from migctl.server.access.tokens import mint_token
from tests.kit.serve_process import serving_process
from tests.kit.targets import environment_of

ADMIN, ADMIN_TOKEN = mint_token("admin", "ada")
EVALUATE, EVALUATE_TOKEN = mint_token("evaluate", "shop")
TOKENS = {"MIGCTL_TOKENS": f"{ADMIN_TOKEN.entry},{EVALUATE_TOKEN.entry}"}
NAME = "local/public"

MENU = {
    "state": "ENABLED",
    "variants": {"off": False, "on": True},
    "defaultVariant": "off",
    "targeting": {"if": [{"==": [{"var": "plan"}, "pro"]}, "on", "off"]},
}


@dataclass
class Managed:
    """admin: with its token; shop: with one of purpose evaluate; nobody: without."""

    url: str
    folder: Path
    admin: httpx.Client
    shop: httpx.Client
    nobody: httpx.Client

    def tag(self, path: str) -> str:
        return self.shop.get(path).headers["ETag"]

    def put(self, path: str, definition: object, *, tag: str | None = None, **more: Any) -> httpx.Response:
        """tag: of what was seen; None for what is new."""
        kind = "segment" if path.startswith("/api/segments") else "flag"
        seen = {"If-None-Match": "*"} if tag is None else {"If-Match": tag}
        body = {"target": NAME, "reason": "a test", kind: definition, **more}
        return self.admin.put(path, json=body, headers=seen)


@contextlib.contextmanager
def managing(
    folder: Path,
    target: Target | None,
    *,
    more: Mapping[str, str] = TOKENS,
    config: str = "",
    mode: str = "websocket",
) -> Iterator[Managed]:
    """On the record of `target`; None: a file is the record."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "migctl.yaml").write_text(config)
    environ = {**(environment_of(target) if target is not None else {}), **more}
    with contextlib.ExitStack() as stack:
        serve = stack.enter_context(serving_process(folder, "--mode", mode, more=environ))

        def client(token: str | None) -> httpx.Client:
            headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
            return stack.enter_context(
                httpx.Client(base_url=serve.url, headers=headers, trust_env=False, timeout=180)
            )

        yield Managed(serve.url, folder, client(ADMIN), client(EVALUATE), client(None))
