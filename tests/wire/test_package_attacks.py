# SPDX-License-Identifier: Apache-2.0
"""Containers and signatures that must not pass, each with its reason; and variants that must."""

import base64
import hashlib
import json
import os
import re
import struct
import subprocess
import zipfile

import pytest
from cryptography.hazmat.primitives import serialization

from envelope import MIMETYPE, TOOL, XADES_ID, good, refusal, tool, world  # noqa: F401
from pki import Party


# Signature attacks: each must end with the named reason

def edited(old, new, count=1):
    def edit(files):
        text = files["META-INF/signatures.xml"].decode()
        assert re.search(old, text, re.S), old
        files["META-INF/signatures.xml"] = re.sub(old, new, text, count=count, flags=re.S).encode()
    return edit


def put(name, data):
    return lambda files: files.__setitem__(name, data)


def drop(name):
    return lambda files: files.pop(name)


SIGNATURE = r"(<Signature .*</Signature>)"
WHOLE = r'<\?xml version="1.0" encoding="UTF-8"\?>'
BOMB = "<!DOCTYPE x [" + '<!ENTITY a0 "aaaaaaaaaa">' + "".join(
    f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10)) + "]>"
ATTACKS = {
    "two signatures": (edited(SIGNATURE, r"\1\1"), "id is used twice"),
    "two signatures, other ids": (edited(SIGNATURE, lambda m: m[1] + re.sub(
        r'\bId="[^"]*"', "", m[1])), "not exactly one"),
    "signature one level down": (edited(SIGNATURE, r'<Object xmlns="http://www.w3.org/2000/09/xmldsig#">\1</Object>'),
                                 "not exactly one"),
    "two SignedInfo": (edited(r"(<SignedInfo>.*</SignedInfo>)", lambda m: m[1] + re.sub(
        r' Id="[^"]*"', "", m[1])), "no SignatureValue"),
    "SignedProperties again in a second Object": (
        edited(r"(<Object>.*</Object>)", r"\1\1"), "id is used twice"),
    "second Object": (edited(r"</Object>", "</Object><Object/>"), "not exactly one Object"),
    "id of SignedProperties elsewhere": (edited("<KeyInfo>", '<KeyInfo ID="SignedProperties">'),
                                         "id is used twice"),
    "xml:id": (edited("<KeyInfo>", '<KeyInfo xml:id="SignedProperties">'), "id of a foreign form"),
    "properties of another signature": (edited('Target="#Signature"', 'Target="#Other"'),
                                        "another signature"),
    "reference to other properties": (edited('URI="#SignedProperties"', 'URI="#ID_0"'),
                                      "does not lead to"),
    "properties not referenced": (edited(r'<Reference Type=.*?</Reference>', ""), "no reference to"),
    "properties referenced twice": (edited(r'(<Reference Type=.*?</Reference>)', r"\1\1"),
                                    "exactly one reference"),
    "whole document by empty URI": (edited('URI="brev.html"', 'URI=""'), "no plain file name"),
    "URI to a file of the machine": (edited('URI="brev.html"', 'URI="file:///etc/passwd"'),
                                     "no plain file name"),
    "URI to the network": (edited('URI="brev.html"', 'URI="http://127.0.0.1/x"'), "no plain file name"),
    "URI in percent form": (edited('URI="brev.html"', 'URI="brev%2ehtml"'), "no plain file name"),
    "absolute path": (edited('URI="brev.html"', 'URI="/etc/passwd"'), "file is missing"),
    "missing file": (drop("brev.html"), "file is missing"),
    "file signed twice": (edited('URI="brev.html"', 'URI="vedlegg-01.pdf"'), "signed twice"),
    "unsigned file": (put("extra.txt", b"x"), "not signed"),
    "unsigned file, reference removed": (edited(r'<Reference Id="ID_1".*?</Reference>', ""), "not signed"),
    "foreign file in META-INF": (put("META-INF/signatures2.xml", b"<x/>"), "foreign file"),
    "META-INF in another case": (put("meta-inf/x", b"x"), "foreign file"),
    "no signatures.xml": (drop("META-INF/signatures.xml"), "without META-INF/signatures.xml"),
    "transform on a file": (edited(r'(URI="brev.html">)', r'\1<Transforms><Transform Algorithm='
                                   r'"http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/></Transforms>'),
                            "with transforms"),
    "XPath on the properties": (edited(r'<Transform Algorithm="[^"]*"', '<Transform Algorithm='
                                       '"http://www.w3.org/TR/1999/REC-xpath-19991116"'), "under a transform"),
    "exclusive C14N on the properties": (edited(
        r'<Transform Algorithm="[^"]*"', '<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"'),
        "under a transform"),
    "HMAC": (edited("2001/04/xmldsig-more#rsa-sha256", "2001/04/xmldsig-more#hmac-sha256"), "not RSA-SHA-256"),
    "RSA with SHA-1": (edited("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                              "http://www.w3.org/2000/09/xmldsig#rsa-sha1"), "not RSA-SHA-256"),
    "C14N with comments": (edited(r'(<CanonicalizationMethod Algorithm="[^"]*)', r"\1#WithComments"),
                           "canonicalisation"),
    "SHA-1 of a file": (edited("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1"),
                        "another digest"),
    "key value beside the certificates": (edited("</X509Data>", "</X509Data><KeyValue/>"), "not one X509Data"),
    "key by retrieval": (edited(r"<X509Data>.*</X509Data>", '<RetrievalMethod URI="http://x/"/>'),
                         "not one X509Data"),
    "leaf not first": (edited(r"(<X509Certificate>[^<]*</X509Certificate>)(<X509Certificate>[^<]*</X509Certificate>)",
                              r"\2\1"), "SigningCertificate is not"),
    "another serial": (edited(r"(X509SerialNumber>)\d", r"\g<1>9"), "serial number|signature is wrong"),
    "comment in a digest": (edited(r"(<DigestValue>..)", r"\1<!-- x -->"), "more in it than"),
    "CDATA in a digest": (edited(r"(<DigestValue>)([^<]*)", r"\1<![CDATA[\2]]>"), "more in it than"),
    "processing instruction": (edited("<KeyInfo>", "<?x y?><KeyInfo>"), "more in it than"),
    "entity bomb": (edited(WHOLE, BOMB), "without a DTD"),
    "entity bomb in an attribute": (lambda files: [edited(WHOLE, BOMB)(files),
                                                   edited('Id="ID_0"', 'Id="&a9;"')(files)], "without a DTD"),
    "external entity": (edited(WHOLE, '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'), "without a DTD"),
    "external DTD": (edited(WHOLE, '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">'), "without a DTD"),
    "UTF-16": (lambda files: files.__setitem__("META-INF/signatures.xml", files[
        "META-INF/signatures.xml"].decode().replace("UTF-8", "UTF-16").encode("utf-16")), "well-formed"),
    "text between elements": (edited("<KeyInfo>", "<KeyInfo>x"), "more in it than"),
    "no XML": (put("META-INF/signatures.xml", b"\x00\x01"), "well-formed"),
    "empty signatures.xml": (put("META-INF/signatures.xml", b""), "well-formed"),
    "deep nesting": (put("META-INF/signatures.xml", b"<a>" * 100000), "well-formed"),
    "2 MB of XML": (put("META-INF/signatures.xml", b"<a>" + b" " * 2000000 + b"</a>"), "bytes"),
    "another root element": (edited("XAdESSignatures", "Signatures", 0), "another root"),
    "changed signature value": (edited(r"<SignatureValue>(.)", lambda m: "<SignatureValue>" + (
        "B" if m[1] == "A" else "A")), "signature is wrong"),
    "empty signature value": (edited(r"<SignatureValue>[^<]*", "<SignatureValue>"), "signature is wrong"),
    "changed signing time": (edited(r"(<SigningTime>2)", r"<SigningTime>3"), "signature is wrong"),
    "changed document": (put("brev.html", b"<p>Nei</p>"), "signature is wrong"),
    "changed manifest": (lambda files: files.__setitem__("manifest.xml", files["manifest.xml"].replace(
        b"kari.test", b"ola.test")), "signature is wrong"),
    "swapped documents": (lambda files: files.update({"brev.html": files["vedlegg-01.pdf"],
                                                      "vedlegg-01.pdf": files["brev.html"]}), "signature is wrong"),
    "another mimetype": (put("mimetype", b"application/zip"), "mimetype"),
}


def repacked(world, path, edit, order=None):
    with zipfile.ZipFile(world.asice) as z:
        files = {name: z.read(name) for name in z.namelist()}
    edit(files)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name in order or files:
            z.writestr(name, files[name])
    return path


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(world, tmp_path, name):
    edit, reason = ATTACKS[name]
    text = refusal("verify", repacked(world, tmp_path / "x.asice", edit), world.roots)
    assert text.startswith("DAMAGED") and re.search(reason, text), text


@pytest.mark.parametrize("name,edit", {
    "nothing changed": lambda files: None,
    "no mimetype": drop("mimetype"),
    "OpenDocument manifest": put("META-INF/manifest.xml", b"<x/>"),
    "root namespace of the schema": edited("uri.etsi.org/02918", "uri.etsi.org/2918"),
    "carriage returns in base64": edited(r"(<SignatureValue>.{76})", "\\1&#13;\n"),
    "carriage returns in a certificate": edited(r"(<X509Certificate>.{76})", "\\1&#13;\n"),
    "leaf only, as .NET": edited(r"(<X509Certificate>[^<]*</X509Certificate>)<X509Certificate>.*(</X509Data>)",
                                 r"\1\2"),
}.items(), ids=lambda v: v if isinstance(v, str) else "")
def test_harmless_differences(world, tmp_path, name, edit):
    tool("verify", repacked(world, tmp_path / "x.asice", edit), world.roots)


@pytest.mark.parametrize("change", [
    (XADES_ID, XADES_ID),
    ("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "http://www.w3.org/2006/12/xml-c14n11"),
    ("issuer", "another text for the name"),
    ("sha1", "sha256"),
], ids=["same", "C14N 1.1", "issuer text", "SHA-256 CertDigest"])
def test_we_verify_what_xmlsec1_signs(world, tmp_path, change):
    """Another signer, with the variants other programs use (spec/dpi.md 1.6.2)."""
    signatures = world.unpacked(tmp_path) / "META-INF" / "signatures.xml"
    text = signatures.read_text()
    leaf = world.sender.cert.public_bytes(serialization.Encoding.DER)
    if change[0] == "issuer":
        text = re.sub(r"(<ns2:X509IssuerName>)[^<]*", r"\1" + change[1], text)
    elif change[0] == "sha1":
        text = text.replace("http://www.w3.org/2000/09/xmldsig#sha1", "http://www.w3.org/2001/04/xmlenc#sha256")
        text = text.replace(base64.b64encode(hashlib.sha1(leaf).digest()).decode(),
                            base64.b64encode(hashlib.sha256(leaf).digest()).decode())
    else:
        text = text.replace(*change)
    text = re.sub(r"(<DigestValue>)[^<]*", r"\1", text)
    signatures.write_text(re.sub(r"(<SignatureValue>)[^<]*", r"\1", text))
    good("xmlsec1", "--sign", "--privkey-pem", world.key, "--id-attr:Id", XADES_ID, "--output",
         tmp_path / "signed.xml", "META-INF/signatures.xml", cwd=tmp_path)
    signed = (tmp_path / "signed.xml").read_bytes()
    assert re.search(rb"<DigestValue>[^<]{44}", signed)
    tool("verify", repacked(world, tmp_path / "x.asice", put("META-INF/signatures.xml", signed)), world.roots)


def test_another_certificate_of_the_attacker(world, tmp_path):
    """A package that is right in itself, by a signer nobody vouches for."""
    attacker = Party([("C", "NO"), ("orgid", "NTRNO-123456785"), ("CN", "Kommunen")])
    key, _, chain = attacker.write(tmp_path, "attacker")
    tool("package", key, chain, "kari.test#1ABC", "nb", "123456785", "-", "-", tmp_path / "x.asice",
         "brev.html", "text/html", "Brev", world.folder / "brev.html")
    tool("verify", tmp_path / "x.asice")
    assert "self-signed certificate" in refusal("verify", tmp_path / "x.asice", world.roots)


@pytest.mark.parametrize("name,make", {
    "unsafe name": ["../brev.html", "text/html", "x"],
    "reserved name": ["manifest.xml", "text/html", "x"],
    "name in another script": ["brév.html", "text/html", "x"],
    "short name": ["b.h", "text/html", "x"],
    "hidden name": [".brev", "text/html", "x"],
    "no title": ["brev.html", "text/html", ""],
    "long title": ["brev.html", "text/html", "x" * 256],
    "title not UTF-8": ["brev.html", "text/html", b"x\xff"],
    "title with a surrogate": ["brev.html", "text/html", b"x\xed\xa0\x80"],
    "overlong UTF-8 in a title": ["brev.html", "text/html", b"x\xc0\xbc"],
}.items(), ids=lambda v: v if isinstance(v, str) else "")
def test_documents_that_are_not_packed(world, tmp_path, name, make):
    command = (TOOL, "package", world.key, world.chain, "m", "nb", "123456785", "-", "-", tmp_path / "x",
               *make, world.folder / "brev.html")
    done = subprocess.run([os.fsencode(part) for part in command], capture_output=True, timeout=60)
    assert done.returncode == 1, done
    assert not (tmp_path / "x").exists()


def test_control_characters_in_a_title_become_spaces(world, tmp_path):
    title = "a\x01b\tc\nd\x85e\u202ef\ufffeg\u2028h"
    tool("package", world.key, world.chain, "m", "nb", "123456785", "-", "-", tmp_path / "x", "brev.html",
         "text/html", title, world.folder / "brev.html")
    assert json.loads(tool("verify", tmp_path / "x"))["documents"][0]["title"] == "a b c d e f g h"


# Container attacks

def test_bomb_by_size(world, tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w", zipfile.ZIP_DEFLATED) as z:
        for i in range(3):
            z.writestr(f"file{i}", bytes(50 << 20))
    assert "unpacks to more" in refusal("verify", tmp_path / "x")


def test_bomb_by_a_false_size(world, tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("file", bytes(200 << 20))
    data = (tmp_path / "x").read_bytes().replace(struct.pack("<I", 200 << 20), struct.pack("<I", 1000))
    (tmp_path / "x").write_bytes(data)
    assert refusal("verify", tmp_path / "x").startswith("DAMAGED")


def test_bomb_by_overlap(world, tmp_path):
    """Many directory records that share one stored entry's bytes."""
    with zipfile.ZipFile(tmp_path / "x", "w") as z:
        z.writestr("aaaa", os.urandom(100000))
    data = (tmp_path / "x").read_bytes()
    start = data.index(b"PK\x01\x02")
    record, end = data[start:data.index(b"PK\x05\x06")], data[data.index(b"PK\x05\x06"):]
    many = b"".join(record.replace(b"aaaa", b"%04d" % i) for i in range(100))
    end = end[:8] + struct.pack("<HHII", 100, 100, len(many), start) + end[20:]
    (tmp_path / "x").write_bytes(data[:start] + many + end)
    assert refusal("verify", tmp_path / "x").startswith("DAMAGED")


@pytest.mark.parametrize("names,reason", [
    (["a%d" % i for i in range(301)], "301 entries"),
    (["mimetype", "brev.html", "BREV.html"], "two entries"),
    (["brev.html", "mimetype"], "mimetype"),
    (["META-INF/"], "usable name"),
    (["x" * 300], "usable name"),
    ([], "entries|empty|signatures"),
], ids=["too many", "case", "mimetype second", "folder", "long name", "nothing"])
def test_odd_containers(tmp_path, names, reason):
    with zipfile.ZipFile(tmp_path / "x", "w") as z:
        for name in names:
            z.writestr(name, MIMETYPE if name == "mimetype" else b"")
    text = refusal("verify", tmp_path / "x")
    assert text.startswith("DAMAGED") and re.search(reason, text), text


def test_other_compression_and_damage(world, tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w", zipfile.ZIP_BZIP2) as z:
        z.writestr("a", b"x" * 1000)
    assert "neither stored nor deflated" in refusal("verify", tmp_path / "x")
    data = bytearray(world.asice.read_bytes())
    data[data.index(b"vedlegg-01.pdf") + 5000] ^= 1
    (tmp_path / "x").write_bytes(data)
    assert refusal("verify", tmp_path / "x").startswith("DAMAGED")
    for size in (0, 1, 21, 1000, len(data) - 1):
        (tmp_path / "x").write_bytes(world.asice.read_bytes()[:size])
        assert refusal("verify", tmp_path / "x").startswith("DAMAGED")
