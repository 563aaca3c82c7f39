"""The stand-ins of the integration tests, for the official clients."""

from __future__ import annotations

from tests.integration.standin.conftest import site, start

__all__ = ["site", "start"]
