"""Resilience: rules for failing and coming back. Pure: time and randomness are arguments."""

from migctl.resilience.backoff import Backoff

__all__ = ["Backoff"]
