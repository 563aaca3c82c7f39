"""The client of a running `serve`: by its address with a token, or by its control socket. The one place that asks it anything."""

from migctl.serve_client.answers import Answer, Wrong
from migctl.serve_client.errors import NotRunning, NotUnderstood
from migctl.serve_client.http import ServeHttp

__all__ = ["Answer", "NotRunning", "NotUnderstood", "ServeHttp", "Wrong"]
