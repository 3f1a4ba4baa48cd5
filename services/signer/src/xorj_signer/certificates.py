"""The TLS identity of the gRPC server, read anew for each connection, so that rotated files need no restart.

1. Only key and certificate that belong together, and an authority that can be read, replace what is in use. Files that
   are half written or unfit are told in the log once, and the last good ones stay.
2. A connection keeps the identities it was made with; `CONNECTION_AGE_MS_MAX` bounds for how long.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog

CONNECTION_AGE_MS_MAX = 15 * 60 * 1000
CONNECTION_GRACE_MS = 10_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files: our key and certificate, and the authority whose clients may connect."""

    key: Path
    certificate: Path
    authority: Path


class RotatingCertificates:
    """What the files hold, as far as it is fit for use."""

    def __init__(self, files: CertificateFiles) -> None:
        """Raises OSError or ValueError for files that are missing or unfit."""
        self._files = files
        self._used = self._read()
        self._check(self._used)
        self._unfit = ""

    def credentials(self) -> "grpc.ServerCredentials":
        """Credentials that ask for a client certificate and look at the files before each handshake."""
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._used),
            self.renewed,  # type: ignore[arg-type]  # None means no change; its stub does not know
            require_client_authentication=True,
        )

    def renewed(self) -> "grpc.ServerCertificateConfiguration | None":
        """What to use from now on, None while nothing has changed; called by gRPC, from threads of its own."""
        try:
            found = self._read()
            if found == self._used:
                return None
            self._check(found)
        except (OSError, ValueError) as error:
            if str(error) != self._unfit:
                self._unfit = str(error)
                log.error("certificates_unfit", error=self._unfit)  # noqa: TRY400 - the trace is gRPC's, not ours
            return None
        self._used, self._unfit = found, ""
        log.info("certificates_renewed", certificate=str(self._files.certificate))
        return _configuration(found)

    def _read(self) -> tuple[bytes, bytes, bytes]:
        files = self._files
        return files.key.read_bytes(), files.certificate.read_bytes(), files.authority.read_bytes()

    def _check(self, found: tuple[bytes, bytes, bytes]) -> None:
        """gRPC reports an unfit key only to whoever connects; this raises OSError or ValueError before."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._files.certificate, self._files.key)
        context.load_verify_locations(cadata=found[2].decode())
        if self._read() != found:
            raise ValueError("the certificate files are being written")


def _configuration(found: tuple[bytes, bytes, bytes]) -> "grpc.ServerCertificateConfiguration":
    key, certificate, authority = found
    return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=authority)
