"""The stand-ins of the integration tests, for the official clients."""

from __future__ import annotations

from tests.integration.standin.conftest import shared, site, start

__all__ = ["shared", "site", "start"]
