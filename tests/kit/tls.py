"""A service behind TLS: what ends it before a server of this machine, with a certificate of an authority of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)
ANYWHERE = "0.0.0.0"  # a machine's name may be any of its addresses


class Authority:
    """Whoever trusts `file`, as by SSL_CERT_FILE, trusts the certificates that it makes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of a test")])
        made = (
            _begun(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / "authority.pem"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def context_of(self, name: str) -> ssl.SSLContext:
        """Of a server with a certificate for this name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            _begun(subject, self._name, key)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        path = self._folder / f"{name}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )


class Terminator:
    """What ends TLS before a port of this machine. names: as whom it was asked for; hosts: whom requests were for."""

    def __init__(self, name: str, context: ssl.SSLContext, upstream: int) -> None:
        self.names: set[str | None] = set()
        self.hosts: set[str] = set()
        self.port = 0
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._name, self._context, self._upstream = name, context, upstream
        context.sni_callback = lambda _, name, __: self.names.add(name)

    @property
    def url(self) -> str:
        return f"https://{self._name}:{self.port}"

    def run(self) -> None:
        """Until `stop`, in a thread of its own."""
        asyncio.run(self._serve())

    def stop(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._pass, ANYWHERE, 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.ready.set()
        await self._stop.wait()
        server.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
            await asyncio.gather(self._pipe(reader, back, heard=True), self._pipe(there, writer))

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, heard: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if heard:  # a head comes in one piece here, or nearly always
                    lines = (line for line in data.split(b"\r\n") if line.lower().startswith(b"host:"))
                    self.hosts |= {line.partition(b":")[2].strip().decode() for line in lines}
                writer.write(data)
                await writer.drain()
        writer.close()


@contextmanager
def behind_tls(name: str, context: ssl.SSLContext, upstream: int) -> Iterator[Terminator]:
    """https://NAME:PORT before 127.0.0.1:upstream, in a thread, for the length of the block."""
    made = Terminator(name, context, upstream)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        assert made.ready.wait(10)
        yield made
    finally:
        made.stop()
        thread.join(10)
