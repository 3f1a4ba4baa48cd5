"""Owns the certificates of one local world: an authority made at run time and one certificate per principal.

1. The common name of a certificate is the principal, and a principal is a service's name.
2. Private keys exist only in files of mode 0600 inside the world's directory; the authority's key is never written.
3. A world's certificates are accepted by no other world: each has its own authority.
"""

import datetime
import ipaddress
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from xorj_localnet.files import write_atomically, write_secret

PRINCIPALS = ("broker", "admin", "ingestor", "reconciler", "executor", "signer", "auditor", "operator")
LIFETIME_DAYS = 30


@dataclass(frozen=True, slots=True)
class Identity:
    """The files with which one principal proves itself."""

    principal: str
    ca_file: Path
    certificate_file: Path
    key_file: Path

    @property
    def keystore_file(self) -> Path:
        """Key and certificate in one PEM file, as the broker reads them."""
        return self.key_file.with_name(f"{self.principal}.keystore.pem")

    def client_context(self) -> ssl.SSLContext:
        """A TLS client context: presents this identity, trusts this world's authority only, checks the address."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(self.ca_file))
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context

    def settings(self) -> dict[str, str]:
        """The environment by which a service finds its identity."""
        return {
            "XORJ_KAFKA_CA_FILE": str(self.ca_file),
            "XORJ_KAFKA_CERT_FILE": str(self.certificate_file),
            "XORJ_KAFKA_KEY_FILE": str(self.key_file),
        }


@dataclass(frozen=True, slots=True)
class Certificates:
    """The identities of one world."""

    directory: Path

    def of(self, principal: str) -> Identity:
        return Identity(
            principal,
            self.directory / "ca.pem",
            self.directory / f"{principal}.pem",
            self.directory / f"{principal}.key.pem",
        )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _draft(subject: str, issuer: str, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(subject))
        .issuer_name(_named(issuer))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=LIFETIME_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def issue_certificates(directory: Path, principals: Iterable[str] = PRINCIPALS) -> Certificates:
    """Makes a new authority and one key and certificate per principal in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    authority_name = "xorj local world"
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = (
        _draft(authority_name, authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificates = Certificates(directory)
    for principal in principals:
        identity = certificates.of(principal)
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")), x509.DNSName("localhost")]
        certificate = (
            _draft(principal, authority_name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .sign(authority_key, hashes.SHA256())
        )
        certificate_pem = certificate.public_bytes(serialization.Encoding.PEM)
        write_atomically(identity.certificate_file, certificate_pem)
        write_secret(identity.key_file, _pem(key))
        if principal == "broker":
            write_secret(identity.keystore_file, _pem(key) + certificate_pem)
    write_atomically(directory / "ca.pem", authority.public_bytes(serialization.Encoding.PEM))
    return certificates
