"""What stands behind a proxy: an address, and how a service that is known by its name is asked there.

Clients reach the proxy by http:// on this machine. Where the service wants TLS the proxy begins it, and verifies the certificate by
the same authorities as our other requests: those of SSL_CERT_FILE or SSL_CERT_DIR, else those that came with httpx.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from migctl.faults.addresses import HOST, Address

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Upstream:
    """host: what requests are given as their Host; None: what they have. tls: how it is begun; None: not at all."""

    address: Address
    host: str | None = None
    tls: ssl.SSLContext | None = None

    @property
    def server_name(self) -> str | None:
        """Whose certificate it has to be; None without TLS."""
        return self.address.host if self.tls is not None else None


def upstream_of(text: str) -> Upstream:
    """A port of this machine, or `http(s)://HOST[:PORT]`; a path of it is let be. Raises ValueError for anything else."""
    if text.isdecimal():
        return Upstream(Address(HOST, int(text)))
    parts = urlsplit(text)
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise ValueError(f"{text!r} is no address of a service: write http://HOST or https://HOST")
    port = parts.port if parts.port is not None else _PORTS[parts.scheme]
    tls = _verifying() if parts.scheme == "https" else None
    return Upstream(Address(parts.hostname, port), parts.netloc, tls)


def _verifying() -> ssl.SSLContext:
    import httpx

    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])  # what our clients speak to us
    return context
