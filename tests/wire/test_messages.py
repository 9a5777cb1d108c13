# SPDX-License-Identifier: Apache-2.0
"""The sealed message opened by openssl, the business message against the official schemas."""

import base64
import email
import hashlib
import json
import os

import jsonschema
import pytest

from envelope import DPI, LETTER_ID, good, needs_spec, refusal, run, tool, world  # noqa: F401


# The sealed message

def control(**changes):
    record = {
        "version": 1, "letter_id": LETTER_ID, "mail_id": "m1", "index": 1, "count": 1, "route": "digital",
        "agency": "kommune", "orgnr": "123456785", "unit": "123456785:skole", "invoice_reference": "F-77",
        "kind": "important", "title": "Svar på søknad", "public_title": "Brev fra kommunen", "language": "nb",
        "security_level": 4, "open_receipt": True, "effective": None, "notice_email_text": "Du har fått post.",
        "notice_sms_text": "Du har post.", "repeats": [0, 7], "signer": "00" * 32,
        "addressees": [{"national_id": "01819090013", "mailbox": "kari.test#1ABC", "provider": "984661185",
                        "certificate": "11" * 32, "notice_email": "kari@example.no",
                        "notice_mobile": "+4799999999"}],
        "documents": [{"href": "brev.html", "mime": "text/html", "size": 10, "sha256": "22" * 32}],
        "package_sha256": "33" * 32, "package_size": 0, "mail_from": "ola@kommune.example",
        "wants_delivery": True, "sealed_at": 1900000000}
    record.update(changes)
    return {k: v for k, v in record.items() if v is not None}


@pytest.fixture
def sealed(world, tmp_path):
    (tmp_path / "control.json").write_text(json.dumps(control()))
    tool("seal", "2026-11", world.seal_key, tmp_path / "control.json", world.cms, tmp_path / "message")
    return tmp_path / "message"


def test_openssl_opens_the_sealed_record(world, sealed, tmp_path):
    message = email.message_from_bytes(sealed.read_bytes())
    assert message["Message-ID"] == f"<{LETTER_ID}@report.brevdue.invalid>"
    assert not set(message.keys()) - {"Date", "Message-ID", "Subject", "MIME-Version", "Content-Type"}
    record, package = message.get_payload()
    assert record.get_content_type() == "application/pkcs7-mime"
    assert record.get_param("smime-type") == "authEnveloped-data"
    assert package.get_content_type() == "application/cms"
    assert package.get_payload(decode=True) == world.cms.read_bytes()
    key, name = world.seal_key.read_bytes().hex(), b"2026-11".hex()
    (tmp_path / "part").write_bytes(bytes(record))
    (tmp_path / "part.der").write_bytes(record.get_payload(decode=True))
    for form, file in (("SMIME", "part"), ("DER", "part.der")):
        opened = json.loads(good("openssl", "cms", "-decrypt", "-inform", form, "-in", tmp_path / file,
                                 "-secretkey", key, "-secretkeyid", name))
        assert opened["addressees"] == control()["addressees"]
        assert opened["package_sha256"] == hashlib.sha256(world.cms.read_bytes()).hexdigest()
    bad = run("openssl", "cms", "-decrypt", "-inform", "DER", "-in", tmp_path / "part.der", "-secretkey",
              os.urandom(32).hex(), "-secretkeyid", name)
    assert bad.returncode != 0
    opened = json.loads(tool("unseal", "2026-11", world.seal_key, sealed, tmp_path / "package"))
    assert (tmp_path / "package").read_bytes() == world.cms.read_bytes()
    assert opened == dict(control(), package_sha256=opened["package_sha256"],
                          package_size=len(world.cms.read_bytes()))


def test_unseal_refuses(world, sealed, tmp_path):
    text = refusal("unseal", "2026-12", world.seal_key, sealed, tmp_path / "package")
    assert text.startswith("NOT_SEALED") and "not known" in text
    (tmp_path / "other.key").write_bytes(os.urandom(32))
    (tmp_path / "other.key").chmod(0o600)
    text = refusal("unseal", "2026-11", tmp_path / "other.key", sealed, tmp_path / "package")
    assert text.startswith("NOT_SEALED")
    assert not (tmp_path / "package").exists()


# The business message

def schema_check(document):
    store = {}
    for path in (DPI / "json-schema").rglob("*.json"):
        schema = json.loads(path.read_text())
        store[schema["$id"]] = schema
    schema = next(s for i, s in store.items() if i.endswith("dpi/digital.schema.json"))
    resolver = jsonschema.RefResolver(schema["$id"], schema, store=store)
    jsonschema.Draft7Validator(schema, resolver=resolver,
                               format_checker=jsonschema.FormatChecker()).validate(document)


def sbd(tmp_path, **changes):
    (tmp_path / "control.json").write_text(json.dumps(control(**changes)))
    return json.loads(tool("sbd", tmp_path / "control.json", "0f3c2a52-6a1e-4b5d-9d0e-2f6f3b8f1a01",
                           "5e0c9a3d-11f0-4a3c-8a77-7f7f0c1d2e02", "987654325", "eyJ0.eyJ1.c2ln", 1893575401123))


def addressee(**changes):
    return [{k: v for k, v in dict(control()["addressees"][0], **changes).items() if v is not None}]


@needs_spec
@pytest.mark.parametrize("changes", [
    {}, {"effective": "2030-01-02T10:00:00+01:00"}, {"unit": None, "invoice_reference": None},
    {"addressees": addressee(notice_mobile=None)}, {"addressees": addressee(notice_email=None)},
    {"addressees": addressee(notice_email=None, notice_mobile=None)}, {"security_level": 3},
    {"notice_email_text": "ø" * 500, "notice_sms_text": "ø" * 160, "repeats": list(range(0, 26, 3))},
    {"public_title": "Tegn: \" \\ / \u0007 < & å"}])
def test_sbd_against_the_schema(tmp_path, changes):
    document = sbd(tmp_path, **changes)
    schema_check(document)
    body = document["standardBusinessDocument"]["digital"]
    assert ("virkningstidspunkt" in body) == ("effective" in changes)
    assert ("varsler" in body) == (changes.get("addressees") != addressee(notice_email=None, notice_mobile=None))
    assert body["ikkesensitivtittel"] == changes.get("public_title", "Brev fra kommunen")


@needs_spec
def test_the_schema_check_can_fail(tmp_path):
    document = sbd(tmp_path)
    document["standardBusinessDocument"]["digital"]["sikkerhetsnivaa"] = "4"
    with pytest.raises(jsonschema.ValidationError):
        schema_check(document)


def test_sbd_word_for_word(tmp_path):
    standard = ("urn:fdc:digdir.no:2020:innbyggerpost:xsd::innbyggerpost##"
                "urn:fdc:digdir.no:2020:innbyggerpost:schema:digital::1.0")
    process = "urn:fdc:digdir.no:2020:profile:egovernment:innbyggerpost:digital:ver1.0"

    def organisation(number):
        return {"authority": "iso6523-actorid-upis", "value": "0192:" + number}

    assert sbd(tmp_path, effective="2030-01-05T00:00:00+01:00") == {"standardBusinessDocument": {
        "standardBusinessDocumentHeader": {
            "headerVersion": "1.0", "sender": [{"identifier": organisation("987654325")}],
            "receiver": [{"identifier": organisation("984661185")}],
            "documentIdentification": {
                "standard": standard, "typeVersion": "1.0", "type": "digital",
                "instanceIdentifier": "0f3c2a52-6a1e-4b5d-9d0e-2f6f3b8f1a01",
                "creationDateAndTime": "2030-01-02T09:10:01.123Z"},
            "businessScope": {"scope": [{
                "type": "ConversationId", "instanceIdentifier": "5e0c9a3d-11f0-4a3c-8a77-7f7f0c1d2e02",
                "identifier": process,
                "scopeInformation": [{"expectedResponseDateTime": "2030-01-03T09:10:01.123Z"}]}]}},
        "digital": {
            "avsender": {"virksomhetsidentifikator": organisation("123456785"),
                         "avsenderidentifikator": "123456785:skole", "fakturaReferanse": "F-77"},
            "mottaker": {"postkasseadresse": "kari.test#1ABC"},
            "dokumentpakkefingeravtrykk": {
                "digestMethod": "http://www.w3.org/2001/04/xmlenc#sha256",
                "digestValue": base64.b64encode(b"\x33" * 32).decode()},
            "maskinportentoken": "eyJ0.eyJ1.c2ln", "sikkerhetsnivaa": 4,
            "virkningstidspunkt": "2030-01-05T00:00:00+01:00", "aapningskvittering": True,
            "ikkesensitivtittel": "Brev fra kommunen", "spraak": "nb",
            "varsler": {
                "epostvarsel": {"epostadresse": "kari@example.no", "varslingstekst": "Du har fått post.",
                                "repetisjoner": [0, 7]},
                "smsvarsel": {"mobiltelefonnummer": "+4799999999", "varslingstekst": "Du har post.",
                              "repetisjoner": [0, 7]}}}}}


@pytest.mark.parametrize("changes", [
    {"public_title": None}, {"public_title": ""}, {"language": "nob"}, {"security_level": 2},
    {"addressees": []}, {"addressees": addressee(mailbox=None)}, {"addressees": addressee(provider=None)},
    {"notice_email_text": None}, {"repeats": []}, {"repeats": [7, 7]}, {"public_title": "x" * 256},
    {"notice_email_text": "x" * 501}, {"notice_sms_text": "ø" * 161}, {"unit": "x" * 101},
    {"invoice_reference": "x" * 41}, {"effective": "tomorrow"}, {"addressees": addressee(notice_mobile="+47abc12345")},
    {"addressees": addressee(notice_mobile="1234567")}, {"addressees": addressee(notice_email="kari")}])
def test_sbd_refuses(tmp_path, changes):
    (tmp_path / "control.json").write_text(json.dumps(control(**changes)))
    assert refusal("sbd", tmp_path / "control.json", "i", "c", "987654325", "t", 1).startswith("DAMAGED")
