"""A way through TLS to a server that speaks none: certificate, key, and who translates."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlparse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.aside import Aside


class Tls(Aside):
    """``with Tls(url, folder) as tls``: ``tls.url`` leads to the same server through TLS.

    Args:
        url: of the server.
        folder: for certificate and key.
        address: for which the certificate is.
    """

    def __init__(self, url: str, folder: Path, address: str = "127.0.0.1") -> None:
        self._address = address
        self._server = urlparse(url)
        self._certificate, self._key = folder / "certificate.pem", folder / "key.pem"
        self._make_certificate()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate, self._key)
        super().__init__(context)

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={self._certificate}"

    @property
    def untrusting_url(self) -> str:
        """The same for one who knows only the authorities that the system knows."""
        return f"rediss://127.0.0.1:{self.port}/0"

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        path = self._server.path
        if self._server.scheme == "unix":
            far, on = await asyncio.open_unix_connection(path)
        else:
            assert self._server.port
            far, on = await asyncio.open_connection(self._server.hostname, self._server.port)
        self._writers.add(on)
        await asyncio.gather(_pass(reader, on), _pass(far, writer))

    def _make_certificate(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        now = dt.datetime.now(dt.UTC)
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(self._address))])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(here, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self._certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        self._key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
