# SPDX-License-Identifier: Apache-2.0
"""Makes everything a sender of digital post makes, without a line of brevdue's code: grants, business
messages, JWTs, ASiC-E packages with XAdES signatures, CMS (by the openssl command), the multipart
body. Written from spec/dpi.md, so that the sandbox is judged by somebody else's output; every part
can be spoilt by the caller."""

import base64
import datetime
import hashlib
import io
import json
import pathlib
import subprocess
import tempfile
import time
import uuid
import zipfile

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

SEND = "digitalpostinnbygger:send"
CONTACT = "krr:global/kontaktinformasjon.read"
MAILBOX = "krr:global/digitalpost.read"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUTHORITY = "iso6523-actorid-upis"
AGENCY, OTHER, PROCESSOR = "123456785", "212121215", "314159268"
DIGIPOST, EBOKS, PRINT = "984661185", "922020175", "974761076"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"


def b64(data):
    return base64.b64encode(data).decode()


class Party:
    """A certificate with its chain, and its key, as the sandbox leaves them in its folder."""

    def __init__(self, folder, name):
        self.pem_file = pathlib.Path(folder) / f"{name}.pem"
        text = self.pem_file.read_bytes()
        self.chain = [x509.load_pem_x509_certificate(b"-----BEGIN CERTIFICATE-----" + part)
                      for part in text.split(b"-----BEGIN CERTIFICATE-----")[1:]]
        key = pathlib.Path(folder) / f"{name.removesuffix('-expired')}.key"
        self.key = serialization.load_pem_private_key(key.read_bytes(), None) if key.exists() else None

    def der(self, n=0):
        return self.chain[n].public_bytes(serialization.Encoding.DER)

    def sign(self, data):
        return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def grant(party, client, issuer, scope=SEND, header=None, **claims):
    """An assertion; a claim given as None is left out."""
    now = int(time.time())
    all_claims = {"aud": issuer, "iss": client, "scope": scope, "iat": now, "exp": now + 110,
                  "jti": str(uuid.uuid4())} | claims
    payload = {k: v for k, v in all_claims.items() if v is not None}
    headers = {"x5c": [b64(party.der())]} if header is None else header
    return jwt.encode(payload, party.key, algorithm=headers.get("alg", "RS256"), headers=headers)


# -- the package -------------------------------------------------------------------------------


def escape(text):
    return (text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            .replace('"', "&quot;"))


def manifest(documents, mailbox, sender=AGENCY):
    """documents: (href, mime, title, bytes), the main one first."""
    to = ("" if mailbox is None else
          f"<mottaker><person><postkasseadresse>{escape(mailbox)}</postkasseadresse></person></mottaker>")
    parts = "".join(
        f'<{tag} href="{escape(href)}" mime="{mime}"><tittel lang="nb">{escape(title)}</tittel></{tag}>'
        for tag, (href, mime, title, _) in zip(["hoveddokument"] + ["vedlegg"] * len(documents), documents))
    return ('<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
            '<manifest xmlns="http://begrep.difi.no/sdp/schema_v10">' + to +
            f'<avsender><organisasjon authority="{AUTHORITY}">0192:{sender}</organisasjon></avsender>'
            + parts + "</manifest>").encode()


def signatures(files, party):
    """XAdES over (name, mime, bytes), written in canonical form, so that no canonicaliser is needed."""
    def digest(data):
        return (f'<DigestMethod Algorithm="{SHA256}"></DigestMethod>'
                f"<DigestValue>{b64(hashlib.sha256(data).digest())}</DigestValue>")

    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    cert = party.chain[0]
    objects = "".join(
        f'<DataObjectFormat ObjectReference="#ID_{n}"><MimeType>{mime}</MimeType></DataObjectFormat>'
        for n, (_, mime, _) in enumerate(files))
    inner = (
        f"<SignedSignatureProperties><SigningTime>{now}</SigningTime><SigningCertificate><Cert>"
        f'<CertDigest><ns2:DigestMethod Algorithm="{DSIG}sha1"></ns2:DigestMethod><ns2:DigestValue>'
        f"{b64(hashlib.sha1(party.der()).digest())}</ns2:DigestValue></CertDigest><IssuerSerial>"
        f"<ns2:X509IssuerName>{escape(cert.issuer.rfc4514_string())}</ns2:X509IssuerName>"
        f"<ns2:X509SerialNumber>{cert.serial_number}</ns2:X509SerialNumber></IssuerSerial></Cert>"
        "</SigningCertificate></SignedSignatureProperties>"
        f"<SignedDataObjectProperties>{objects}</SignedDataObjectProperties></SignedProperties>")
    etsi = "http://uri.etsi.org/01903/v1.3.2#"
    canonical = f'<SignedProperties xmlns="{etsi}" xmlns:ns2="{DSIG}" Id="SignedProperties">' + inner
    references = "".join(f'<Reference Id="ID_{n}" URI="{name}">{digest(data)}</Reference>'
                         for n, (name, _, data) in enumerate(files))
    info = (
        f'<CanonicalizationMethod Algorithm="{C14N}"></CanonicalizationMethod>'
        '<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256">'
        f"</SignatureMethod>{references}"
        '<Reference Type="http://uri.etsi.org/01903#SignedProperties" URI="#SignedProperties">'
        f'<Transforms><Transform Algorithm="{C14N}"></Transform></Transforms>'
        f"{digest(canonical.encode())}</Reference></SignedInfo>")
    value = party.sign(f'<SignedInfo xmlns="{DSIG}">{info}'.encode())
    certs = "".join(f"<X509Certificate>{b64(party.der(n))}</X509Certificate>"
                    for n in range(len(party.chain)))
    return ('<?xml version="1.0" encoding="UTF-8"?>\n'
            '<XAdESSignatures xmlns="http://uri.etsi.org/02918/v1.2.1#">'
            f'<Signature xmlns="{DSIG}" Id="Signature"><SignedInfo>{info}'
            f"<SignatureValue>{b64(value)}</SignatureValue><KeyInfo><X509Data>{certs}</X509Data></KeyInfo>"
            f'<Object><QualifyingProperties xmlns="{etsi}" xmlns:ns2="{DSIG}" Target="#Signature">'
            f'<SignedProperties Id="SignedProperties">{inner}</QualifyingProperties></Object>'
            "</Signature></XAdESSignatures>").encode()


def asice(documents, mailbox, party, sender=AGENCY, spoil=None):
    """The container. spoil(entries) may change the list of (name, bytes) after signing."""
    files = [("manifest.xml", "application/xml", manifest(documents, mailbox, sender))]
    files += [(href, mime, data) for href, mime, _, data in documents]
    entries = [(name, data) for name, _, data in files]
    entries.append(("META-INF/signatures.xml", signatures(files, party)))
    if spoil:
        spoil(entries)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(zipfile.ZipInfo("mimetype"), b"application/vnd.etsi.asic-e+zip",
                   zipfile.ZIP_STORED)
        for name, data in entries:
            z.writestr(name, data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def cms(data, recipient_pem):
    with tempfile.NamedTemporaryFile() as source:
        source.write(data)
        source.flush()
        return subprocess.run(
            ["openssl", "cms", "-encrypt", "-binary", "-aes256", "-in", source.name, "-outform", "DER",
             "-recip", recipient_pem, "-keyopt", "rsa_padding_mode:oaep", "-keyopt",
             "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256"],
            check=True, capture_output=True).stdout


# -- the business message ----------------------------------------------------------------------


def organisation(orgnr):
    return {"authority": AUTHORITY, "value": f"0192:{orgnr}"}


def business_message(package, token, mailbox, provider=DIGIPOST, sender=AGENCY, signer=None,
                     instance=None, kind="digital", **members):
    instance = instance or str(uuid.uuid4())
    urn = "urn:fdc:digdir.no:2020"
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    body = {
        "avsender": {"virksomhetsidentifikator": organisation(sender)},
        "dokumentpakkefingeravtrykk": {"digestMethod": SHA256,
                                       "digestValue": b64(hashlib.sha256(package).digest())},
        "maskinportentoken": token,
    }
    if kind == "digital":
        body |= {"mottaker": {"postkasseadresse": mailbox}, "sikkerhetsnivaa": 4,
                 "ikkesensitivtittel": "Brev fra kommunen", "spraak": "nb", "varsler": {}}
    return {"standardBusinessDocument": {
        "standardBusinessDocumentHeader": {
            "headerVersion": "1.0",
            "sender": [{"identifier": organisation(signer or sender)}],
            "receiver": [{"identifier": organisation(provider)}],
            "documentIdentification": {
                "standard": f"{urn}:innbyggerpost:xsd::innbyggerpost##{urn}:innbyggerpost:schema:{kind}::1.0",
                "typeVersion": "1.0", "instanceIdentifier": instance, "type": kind,
                "creationDateAndTime": now},
            "businessScope": {"scope": [{
                "type": "ConversationId", "instanceIdentifier": str(uuid.uuid4()),
                "identifier": f"{urn}:profile:egovernment:innbyggerpost:{kind}:ver1.0"}]}},
        kind: body | members}}


def message_jwt(message, party):
    return jwt.encode(message, party.key, algorithm="RS256", headers={"x5c": [b64(party.der())], "typ": None})


def multipart(parts):
    """parts: (name, filename or None, media type, bytes). Body and its content type."""
    boundary, out = "b" + uuid.uuid4().hex, bytearray()
    for name, filename, kind, data in parts:
        extra = f'; filename="{filename}"' if filename else ""
        out += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n'
                f"Content-Type: {kind}\r\n\r\n").encode() + data + b"\r\n"
    out += f"--{boundary}--\r\n".encode()
    return bytes(out), f"multipart/form-data; boundary={boundary}"
