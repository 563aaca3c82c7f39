"""The stand-ins of the integration tests, for the official clients."""

from __future__ import annotations

from tests.integration.standin.conftest import alone, running, shared, site, start

__all__ = ["alone", "running", "shared", "site", "start"]
