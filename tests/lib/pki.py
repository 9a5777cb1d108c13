# SPDX-License-Identifier: Apache-2.0
"""Test certificates, made by python3-cryptography, and a reader for Java key stores."""

import datetime
import hashlib
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)
NAMES = {"C": NameOID.COUNTRY_NAME, "O": NameOID.ORGANIZATION_NAME, "CN": NameOID.COMMON_NAME,
         "serial": NameOID.SERIAL_NUMBER, "orgid": x509.ObjectIdentifier("2.5.4.97")}
USAGES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
          "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")


def new_key(bits=2048):
    return ec.generate_private_key(ec.SECP256R1()) if bits == 0 else \
        rsa.generate_private_key(public_exponent=65537, key_size=bits)


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def cert_pem(*certs):
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certs)


class Party:
    """A key with its certificate, and the chain above it."""

    def __init__(self, names, issuer=None, ca=False, usage=("digital_signature", "key_encipherment"),
                 start=-1, end=3000, key=None, bits=2048, digest=None):
        self.key = key or new_key(bits)
        subject = x509.Name([x509.NameAttribute(NAMES[kind], value) for kind, value in names])
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(subject)
                   .issuer_name(issuer.cert.subject if issuer else subject)
                   .public_key(self.key.public_key())
                   # at most 24 digits: more are no xs:integer to libxml2's schema checker
                   .serial_number(x509.random_serial_number() >> 80)
                   .not_valid_before(now + start * DAY).not_valid_after(now + end * DAY)
                   .add_extension(x509.BasicConstraints(ca, None), critical=True))
        if ca:
            usage = ("key_cert_sign", "crl_sign")
        if usage is not None:
            builder = builder.add_extension(
                x509.KeyUsage(**{name: name in usage for name in USAGES}), critical=True)
        self.cert = builder.sign((issuer or self).key, digest or hashes.SHA256())
        self.chain = [self.cert] + (issuer.chain if issuer else [])

    def write(self, folder, name):
        """key.pem, cert.pem and chain.pem paths."""
        paths = [folder / f"{name}-{what}.pem" for what in ("key", "cert", "chain")]
        paths[0].write_bytes(key_pem(self.key))
        paths[1].write_bytes(cert_pem(self.cert))
        paths[2].write_bytes(cert_pem(*self.chain))
        return paths


def jks_read(data, password):
    """The first private key (PKCS#8 DER) of a Java key store and its certificate chain (DER)."""
    at = 12

    def take(size):
        nonlocal at
        at += size
        return data[at - size:at]

    def number(size):
        return int.from_bytes(take(size), "big")

    assert data[:4] == b"\xfe\xed\xfe\xed"
    for _ in range(struct.unpack(">I", data[8:12])[0]):
        tag = number(4)
        take(number(2) + 8)  # alias and time
        if tag == 2:
            take(number(2))
            take(number(4))
            continue
        protected = take(number(4))
        chain = []
        for _ in range(number(4)):
            take(number(2))
            chain.append(take(number(4)))
        body = protected[protected.index(b"\x04\x82", 4) + 4:]
        salt, cipher, check = body[:20], body[20:-20], body[-20:]
        secret = password.encode("utf-16-be")
        stream, block = b"", salt
        while len(stream) < len(cipher):
            block = hashlib.sha1(secret + block).digest()
            stream += block
        key = bytes(a ^ b for a, b in zip(cipher, stream))
        assert hashlib.sha1(secret + key).digest() == check
        return key, chain
    raise ValueError("no private key")
