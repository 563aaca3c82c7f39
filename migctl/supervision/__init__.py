"""Supervision: what watches over a `serve`: systemd, or a parent of ours that starts it again.

Either hears that it is ready, lives and ends in the words of sd_notify(3).
"""

from migctl.supervision.heart import READY, STOPPING, WATCHDOG, Heart

__all__ = ["READY", "STOPPING", "WATCHDOG", "Heart"]
