"""Who only watches a `serve`: probes, scrapers, the witness, an open page, an operator. Pure.

The error rate is of those whom the stream is for. A page asks several times a second and is answered well, so with some of them
open a real failure would be a smaller share of the requests: answers to who watches are counted apart.
Failures count, whoever asked.
"""

from __future__ import annotations

# What a client of ours says of itself where it reads the stream only to watch, as the witness does with `/events`.
CLIENT = "Migctl-Client"
WITNESS = "witness"
_WATCHERS = frozenset({WITNESS, "dashboard"})
_ROUTES = frozenset(
    {
        "/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/api/status", "/api/status/schema.json",
        "/api/rollout", "/api/drills", "/api/story", "/api/tail",
    }
)  # fmt: skip
_PREFIXES = ("/admin/", "/dashboard/")


def watches(route: str, client: str | None) -> bool:
    """route: as it is written, not as it was asked. client: the header `Migctl-Client`, None where it is not there."""
    return route in _ROUTES or route.startswith(_PREFIXES) or client in _WATCHERS
