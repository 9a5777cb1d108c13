# SPDX-License-Identifier: Apache-2.0
"""The document package, judged by programs that are not ours; and theirs, opened by us."""

import base64
import hashlib
import json
import re
import struct
import zipfile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from envelope import DPI, MIMETYPE, TITLES, XADES_ID, good, needs_spec, refusal, run, tool, world  # noqa: F401
from pki import cert_pem, jks_read


# The container

@pytest.mark.parametrize("which", ["asice", "printed"])
def test_unzip_finds_no_fault(world, which):
    path = getattr(world, which)
    assert b"No errors detected" in good("unzip", "-t", path)
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None


def test_first_entry_by_bytes(world):
    data = world.asice.read_bytes()
    signature, _, flags, method, _, _, _, packed, size, name_len, extra_len = \
        struct.unpack("<4sHHHHHIIIHH", data[:30])
    assert signature == b"PK\x03\x04"
    assert (method, flags, extra_len) == (0, 0, 0)
    assert data[30:30 + name_len] == b"mimetype"
    assert data[38:38 + len(MIMETYPE)] == MIMETYPE and size == packed == len(MIMETYPE)
    with zipfile.ZipFile(world.asice) as z:
        first = z.infolist()[0]
        assert first.comment == z.comment == b"mimetype=" + MIMETYPE
        assert z.namelist() == ["mimetype", "manifest.xml", "brev.html", "vedlegg-01.pdf",
                                "vedlegg-02.txt", "META-INF/signatures.xml"]
        assert all(i.compress_type == zipfile.ZIP_DEFLATED for i in z.infolist()[1:])
        for name, _, content in world.files:
            assert z.read(name) == content


@needs_spec
@pytest.mark.parametrize("which", ["asice", "printed"])
def test_manifest_against_the_schema(world, tmp_path, which):
    manifest = tmp_path / "manifest.xml"
    with zipfile.ZipFile(getattr(world, which)) as z:
        manifest.write_bytes(z.read("manifest.xml"))
    good("xmllint", "--nonet", "--noout", "--schema", DPI / "xsd" / "sdp-manifest.xsd", manifest)
    text = manifest.read_text()
    assert ("<mottaker>" in text) == (which == "asice")
    assert "personidentifikator" not in text
    if which == "asice":
        titles = [good("xmllint", "--xpath", f"string((//*[local-name()='tittel'])[{i}])",
                       manifest).decode().rstrip("\n") for i in (1, 2, 3)]
        assert titles == TITLES


@needs_spec
def test_signatures_against_the_schemas(world, tmp_path):
    both = tmp_path / "both.xsd"  # so that what stands under ds:Object is looked at too
    both.write_text(f"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
<xs:import namespace="http://uri.etsi.org/02918/v1.2.1#"
 schemaLocation="{DPI}/xsd/asic-e/ts_102918v010201_2.xsd"/>
<xs:import namespace="http://uri.etsi.org/01903/v1.3.2#" schemaLocation="{DPI}/xsd/etsi/XAdES.xsd"/>
</xs:schema>""")
    signatures = world.unpacked(tmp_path) / "META-INF" / "signatures.xml"
    good("xmllint", "--nonet", "--noout", "--schema", both, signatures)


def test_signature_by_xmlsec1(world, tmp_path):
    world.unpacked(tmp_path)
    verify = ["xmlsec1", "--verify", "--trusted-pem", world.root_only, "--id-attr:Id", XADES_ID,
              "META-INF/signatures.xml"]
    done = run(*verify, cwd=tmp_path)
    assert done.returncode == 0 and b"(ok/all): 5/5" in done.stderr, done.stderr
    with open(tmp_path / "brev.html", "ab") as f:
        f.write(b"x")
    assert run(*verify, cwd=tmp_path).returncode != 0


def test_what_the_signature_names(world, tmp_path):
    text = (world.unpacked(tmp_path) / "META-INF" / "signatures.xml").read_text()
    leaf = world.sender.cert.public_bytes(serialization.Encoding.DER)
    certs = re.findall(r"<X509Certificate>([^<]+)<", text)
    assert [base64.b64decode(c) for c in certs] == \
        [c.public_bytes(serialization.Encoding.DER) for c in world.sender.chain]
    assert base64.b64encode(hashlib.sha1(leaf).digest()).decode() in text
    assert f">{world.sender.cert.serial_number}<" in text
    assert "CN=Utsteder Æ, OID.2.5.4.97=NTRNO-987654325, O=Test\\, \\&quot;A\\&quot;\\+B, C=NO<" in text
    assert re.findall(r'URI="([^"]+)"', text) == ["manifest.xml", "brev.html", "vedlegg-01.pdf",
                                                  "vedlegg-02.txt", "#SignedProperties"]
    assert re.findall(r"<MimeType>([^<]+)<", text) == ["application/xml", "text/html",
                                                       "application/pdf", "text/plain"]


def test_we_open_it(world):
    opened = json.loads(tool("verify", world.asice, world.root_only))
    assert opened["mailbox"] == "kari.test#1ABC"
    assert (opened["sender"], opened["unit"], opened["signer"]) == \
        ("123456785", "123456785:skole", "123456785")
    assert [(d["href"], d["mime"], d["title"], d["sha256"]) for d in opened["documents"]] == \
        [(href, mime, title, hashlib.sha256(data).hexdigest())
         for (href, mime, data), title in zip(world.files, TITLES)]
    assert json.loads(tool("verify", world.printed, world.roots))["mailbox"] is None


@needs_spec
@pytest.mark.parametrize("name,mailbox,document", [("digital", "0000487204", "Test.txt"),
                                                   ("utskrift", None, "my.pdf")])
def test_published_packages(tmp_path, name, mailbox, document):
    samples = DPI / "samples-b" / "complete"
    key, chain = jks_read((samples / "eksempel.jks").read_bytes(), "changeit")
    (tmp_path / "key.pem").write_bytes(
        serialization.load_der_private_key(key, None).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
    (tmp_path / "cert.pem").write_bytes(cert_pem(x509.load_der_x509_certificate(chain[0])))
    tool("decrypt", tmp_path / "key.pem", tmp_path / "cert.pem",
         samples / f"{name}-dokumentpakke.cms", tmp_path / "out.asice")
    assert (tmp_path / "out.asice").read_bytes() == \
        (samples / f"{name}-dokumentpakke.zip").read_bytes()
    opened = json.loads(tool("verify", tmp_path / "out.asice"))
    assert (opened["mailbox"], opened["sender"], opened["signer"]) == (mailbox, "991825827", "991825827")
    assert opened["documents"][0]["href"] == document
    # their certificates have expired: with roots it must fail for that reason
    (tmp_path / "roots.pem").write_bytes(b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + c.encode().replace(b"&#13;", b"")
        + b"\n-----END CERTIFICATE-----\n" for c in re.findall(
            r"<X509Certificate>([^<]+)<", zipfile.ZipFile(
                samples / f"{name}-dokumentpakke.zip").read("META-INF/signatures.xml").decode())[1:]))
    assert "expired" in refusal("verify", tmp_path / "out.asice", tmp_path / "roots.pem")
    payload = json.loads(tool("jwt-verify", samples / f"{name}-forretningsmelding.jwt"))
    assert payload == json.loads((samples / f"{name}-forretningsmelding.json").read_text())


# Encryption

def test_openssl_decrypts_the_package(world, tmp_path):
    good("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", world.cms, "-recip",
         world.mailbox_cert, "-inkey", world.mailbox_key, "-out", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == world.asice.read_bytes()


def test_cms_structure(world):
    lines = good("openssl", "asn1parse", "-inform", "DER", "-in", world.cms).decode().splitlines()
    parsed = [(int(m[1]), m[2].strip()) for m in
              (re.search(r"d=(\d+).*?(?:prim|cons): (.*)$", line) for line in lines)]
    flat = [re.sub(r"\s+", " ", text) for _, text in parsed]
    assert flat[1] == "OBJECT :pkcs7-envelopedData"
    assert flat[4] == "INTEGER :00" and flat[5] == "SET"
    assert sum(1 for depth, _ in parsed if depth == 4) - 3 == 1  # one RecipientInfo, three of content
    at = flat.index("OBJECT :rsaesOaep")
    assert flat[at + 1:at + 14] == [
        "SEQUENCE", "cont [ 0 ]", "SEQUENCE", "OBJECT :sha256", "NULL", "cont [ 1 ]", "SEQUENCE",
        "OBJECT :mgf1", "SEQUENCE", "OBJECT :sha256", "NULL",
        flat[at + 12], "SEQUENCE"]
    assert flat[at + 12].startswith("OCTET STRING")
    assert flat[at + 14:at + 17] == ["OBJECT :pkcs7-data", "SEQUENCE", "OBJECT :aes-256-cbc"]
    assert not any("indefinite" in line or "l=inf" in line for line in lines)


@pytest.mark.parametrize("options", [
    ["-keyopt", "rsa_padding_mode:oaep"],
    ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"],
    [],
    ["-stream", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"],
], ids=["OAEP-SHA1", "OAEP-SHA256-no-NULL", "PKCS1", "BER"])
def test_we_decrypt_what_others_make(world, tmp_path, options):
    good("openssl", "cms", "-encrypt", "-binary", "-aes-256-cbc", "-outform", "DER", "-in",
         world.asice, "-out", tmp_path / "cms", "-recip", world.mailbox_cert, *options)
    tool("decrypt", world.mailbox_key, world.mailbox_cert, tmp_path / "cms", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == world.asice.read_bytes()


@pytest.mark.parametrize("cipher,word", [("-aes-128-cbc", "AES-256-CBC"), ("-des3", "AES-256-CBC"),
                                         ("-aes-256-gcm", "envelopedData")])
def test_other_ciphers_are_refused(world, tmp_path, cipher, word):
    good("openssl", "cms", "-encrypt", "-binary", cipher, "-outform", "DER", "-in", world.asice,
         "-out", tmp_path / "cms", "-recip", world.mailbox_cert)
    text = refusal("decrypt", world.mailbox_key, world.mailbox_cert, tmp_path / "cms", tmp_path / "out")
    assert text.startswith("DAMAGED") and word in text


def test_wrong_recipient_key(world, tmp_path):
    tool("encrypt", world.cert, world.asice, tmp_path / "cms")
    refusal("decrypt", world.mailbox_key, world.mailbox_cert, tmp_path / "cms", tmp_path / "out")


def test_equal_letters_are_encrypted_differently(world, tmp_path):
    tool("encrypt", world.mailbox_cert, world.asice, tmp_path / "again.cms")
    again, first = (tmp_path / "again.cms").read_bytes(), world.cms.read_bytes()
    assert again[-2000:] != first[-2000:] and len(again) == len(first)
