# SPDX-License-Identifier: Apache-2.0
"""brevdue-sandbox: the access point's and the mailbox provider's checks of a letter, and receipts."""

import concurrent.futures
import hashlib
import json
import os
import subprocess
import time
import urllib.parse
import uuid

import jwt
import pytest

import dpi
from sandbox_client import (KARI, KARI_BOX, NOBODY_BOX, OLA_BOX, OTHER_CLIENT, PROCESSOR_CLIENT, ROOT, Letter,
                            fetch, fresh, path_set, read_all, receipt_id, refused)


# -- letters in ---------------------------------------------------------------------------------


def test_a_letter_reaches_the_mailbox(sandbox):
    letter = Letter(sandbox, aapningskvittering=True, virkningstidspunkt="2020-01-01T00:00:00+01:00",
                    varsler={"epostvarsel": {"epostadresse": "kari@innbygger.example",
                                             "varslingstekst": "Du har fått post", "repetisjoner": [0, 7]}})
    assert letter.post() == (201, None)
    kept = sandbox.letter(letter.id)
    assert "failure" not in kept and kept["mailbox"] == KARI_BOX and kept["signer"] == dpi.AGENCY
    assert [(d["title"], d["sha256"]) for d in kept["documents"]] == [
        (title, hashlib.sha256(data).hexdigest()) for _, _, title, data in letter.documents]
    for n, (_, _, _, data) in enumerate(letter.documents):
        assert sandbox.get(f"/sandbox/letters/{letter.id}/documents/{n}")[2] == data
    assert [r["type"] for r in sandbox.receipts(letter.id)] == ["leveringskvittering"]
    status, _, text = sandbox.get(f"/dpi/messages/out/{letter.id}/statuses", letter.token)
    assert status == 200 and [s["status"] for s in json.loads(text)] == ["OPPRETTET", "SENDT"]


def test_parts_without_file_names_and_types(sandbox):
    letter = Letter(sandbox, OLA_BOX, dpi.EBOKS).make()
    status, _ = letter.post(parts=[
        ("dokumentpakke", None, "application/octet-stream", letter.package),
        ("forretningsmelding", None, "text/plain", dpi.message_jwt(letter.message, letter.signer).encode())])
    assert status == 201 and sandbox.letter(letter.id)["provider"] == dpi.EBOKS


def test_a_big_package(sandbox):
    documents = [("brev.pdf", "application/pdf", "Stort", os.urandom(20_000_000))]
    letter = Letter(sandbox, documents=documents)
    assert letter.post()[0] == 201
    assert sandbox.letter(letter.id)["documents"][0]["size"] == 20_000_000
    letter = Letter(sandbox).make()
    letter.package = bytes(50_000_001)
    refused(letter.post(), 413, "dokumentpakke")
    letter.package = bytes(64 << 20)
    refused(letter.post(), 413, "larger than")


def test_token_checks(sandbox):
    letter = Letter(sandbox).make()
    refused(letter.post(token=""), 401, "missing")
    refused(letter.post(token="a.b.c"), 401, "token")
    refused(letter.post(token=letter.token[:-4] + "AAAA"), 401, "token")
    reader = Letter(sandbox, token=sandbox.token(dpi.CONTACT))
    refused(reader.post(), 403, "scope")
    elsewhere = Letter(sandbox, token=sandbox.token(resource=["https://else.example"]))
    refused(elsewhere.post(), 401, "another service")
    here = Letter(sandbox, token=sandbox.token(resource=[sandbox.url + "/dpi"]))
    assert here.post()[0] == 201
    refused(letter.post(token=sandbox.token()), 400, "maskinportentoken")


def test_token_signed_by_somebody_else_is_refused(sandbox):
    letter = Letter(sandbox)
    claims = jwt.decode(letter.token, options={"verify_signature": False})
    letter.token = jwt.encode(claims, sandbox.party("agency").key, algorithm="RS256")
    refused(letter.post(), 401, "token")


def test_an_expired_token_is_refused(running, tmp_path):
    short = fresh(running, tmp_path / "d", "--token-life", "5")
    try:
        letter = Letter(short).make()
        claims = jwt.decode(letter.token, options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == 5
        while time.time() <= claims["exp"]:
            time.sleep(0.1)
        refused(letter.post(), 401, "expired")
    finally:
        short.stop()


def test_avsender_must_be_the_tokens_consumer(sandbox):
    letter = Letter(sandbox, token=sandbox.token(party="other", client=OTHER_CLIENT))
    refused(letter.post(), 403, "consumer")


@pytest.mark.parametrize("kanal", ["a" * 29, "a.b", "a%20b", "%C3%A6", ""])
def test_bad_channels_are_refused(sandbox, kanal):
    letter = Letter(sandbox).make()
    refused(letter.post(path=f"/dpi/messages/out?kanal={kanal}"), 400, "kanal")


def test_both_parts_are_wanted(sandbox):
    letter = Letter(sandbox).make()
    text = ("forretningsmelding", None, "application/jwt",
            dpi.message_jwt(letter.message, letter.signer).encode())
    package = ("dokumentpakke", "a", "application/cms", letter.package)
    refused(letter.post(parts=[text]), 400, "dokumentpakke")
    refused(letter.post(parts=[package]), 400, "forretningsmelding")
    refused(letter.post(parts=[text, package, package]), 400, "dokumentpakke")
    refused(letter.post(parts=[text, text, package]), 400, "forretningsmelding")
    refused(letter.post(parts=[text, ("dokumentpakke", "a", "x/y", b"")]), 400, "dokumentpakke")


def test_a_form_that_breaks_off_is_refused(sandbox):
    letter = Letter(sandbox).make()
    body, kind = dpi.multipart([("forretningsmelding", None, "application/jwt", b"a.b.c"),
                                ("dokumentpakke", "a", "application/cms", letter.package)])
    status, _, text = sandbox.call("POST", "/dpi/messages/out", body[:-100],
                                   {"Content-Type": kind, "Authorization": f"Bearer {letter.token}"})
    assert status == 400, text


def test_jwt_checks(sandbox, tmp_path):
    letter = Letter(sandbox).make()
    agency = letter.signer
    x5c = [dpi.b64(agency.der())]
    encode = lambda headers, key=agency.key, alg="RS256": jwt.encode(  # noqa: E731
        letter.message, key, algorithm=alg, headers=headers)
    good = dpi.message_jwt(letter.message, agency)
    head, payload, signature = good.split(".")
    refused(letter.post("junk"), 400, "forretningsmelding")
    refused(letter.post(f"{head}.{payload}.{'A' * len(signature)}"), 400, "forretningsmelding")
    refused(letter.post(encode({})), 400, "x5c")
    refused(letter.post(encode({"x5c": x5c}, alg="RS512")), 400, "RS256")
    refused(letter.post(jwt.encode(letter.message, None, algorithm="none", headers={"x5c": x5c})), 400, "JWT")
    refused(letter.post(encode({"x5c": [dpi.b64(sandbox.party("other").der())]})), 400, "signature")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "s.key",
                    "-out", tmp_path / "s.pem", "-subj", "/C=NO/O=X/organizationIdentifier=NTRNO-123456785/CN=X",
                    "-addext", "keyUsage=digitalSignature"], check=True, capture_output=True)
    refused(letter.post(dpi.message_jwt(letter.message, dpi.Party(tmp_path, "s"))), 400, "certificate")
    assert letter.post(good)[0] == 201


def test_digest_must_be_the_packages(sandbox):
    letter = Letter(sandbox).make()
    whole = letter.package
    letter.package = whole[:-1] + bytes([whole[-1] ^ 1])
    refused(letter.post(), 400, "Upload was not accepted, SHA-256 digest of dokumentpakke was")
    letter.package = whole
    assert letter.post()[0] == 201


HEAD = ("standardBusinessDocument", "standardBusinessDocumentHeader")
BODY = ("standardBusinessDocument", "digital")
EMAIL = {"epostadresse": "a@b.example", "varslingstekst": "x", "repetisjoner": [0]}
SMS = {"mobiltelefonnummer": "+4799999999", "varslingstekst": "x", "repetisjoner": [0]}
BAD_MESSAGES = {
    "no header": (HEAD, None),
    "foreign member on top": (("extra",), 1),
    "foreign member beside the header": ((HEAD[0], "extra"), 1),
    "foreign member in the header": (HEAD + ("manifest",), {}),
    "foreign member in an identifier": (HEAD + ("sender", 0, "identifier", "x"), 1),
    "header version": (HEAD + ("headerVersion",), "2.0"),
    "no sender": (HEAD + ("sender",), []),
    "two senders": (HEAD + ("sender",), [{"identifier": dpi.organisation(dpi.AGENCY)}] * 2),
    "two receivers": (HEAD + ("receiver",), [{"identifier": dpi.organisation(dpi.DIGIPOST)}] * 2),
    "receiver is no provider": (HEAD + ("receiver",), [{"identifier": dpi.organisation(dpi.OTHER)}]),
    "receiver is the print provider": (HEAD + ("receiver",), [{"identifier": dpi.organisation(dpi.PRINT)}]),
    "authority": (HEAD + ("sender", 0, "identifier", "authority"), "x"),
    "old prefix": (HEAD + ("sender", 0, "identifier", "value"), "9908:123456785"),
    "instance is no UUID": (HEAD + ("documentIdentification", "instanceIdentifier"), "../../etc"),
    "standard": (HEAD + ("documentIdentification", "standard"), "urn:x"),
    "type version": (HEAD + ("documentIdentification", "typeVersion"), "2.0"),
    "type": (HEAD + ("documentIdentification", "type"), "flyttet"),
    "date without zone": (HEAD + ("documentIdentification", "creationDateAndTime"), "2030-01-02T10:00:01"),
    "date with hours only": (HEAD + ("documentIdentification", "creationDateAndTime"), "2030-01-02T10:00:01+01"),
    "no scope": (HEAD + ("businessScope", "scope"), []),
    "other scope": (HEAD + ("businessScope", "scope", 0, "type"), "X"),
    "process": (HEAD + ("businessScope", "scope", 0, "identifier"), "urn:x"),
    "conversation is no UUID": (HEAD + ("businessScope", "scope", 0, "instanceIdentifier"), "x"),
    "no body": (BODY, None),
    "no avsender": (BODY + ("avsender",), None),
    "long unit": (BODY + ("avsender", "avsenderidentifikator"), "x" * 101),
    "long invoice reference": (BODY + ("avsender", "fakturaReferanse"), "x" * 41),
    "number in mottaker": (BODY + ("mottaker", "personidentifikator"), KARI),
    "no mailbox": (BODY + ("mottaker", "postkasseadresse"), None),
    "digest method": (BODY + ("dokumentpakkefingeravtrykk", "digestMethod"), "sha1"),
    "no token": (BODY + ("maskinportentoken",), None),
    "level as text": (BODY + ("sikkerhetsnivaa",), "4"),
    "level 5": (BODY + ("sikkerhetsnivaa",), 5),
    "level 2": (BODY + ("sikkerhetsnivaa",), 2),
    "empty public title": (BODY + ("ikkesensitivtittel",), ""),
    "long public title": (BODY + ("ikkesensitivtittel",), "ø" * 256),
    "public title as object": (BODY + ("ikkesensitivtittel",), {"lang": "nb"}),
    "language": (BODY + ("spraak",), "nob"),
    "receipt as text": (BODY + ("aapningskvittering",), "true"),
    "date": (BODY + ("virkningsdato",), "2030-02-31"),
    "time without zone": (BODY + ("virkningstidspunkt",), "2030-01-02T10:00:00"),
    "foreign member in the body": (BODY + ("tittel",), "x"),
    "notice text too long": (BODY + ("varsler",), {"epostvarsel": EMAIL | {"varslingstekst": "x" * 501}}),
    "notice without text": (BODY + ("varsler",), {"epostvarsel": EMAIL | {"varslingstekst": ""}}),
    "notice without repetitions": (BODY + ("varsler",), {"epostvarsel": EMAIL | {"repetisjoner": []}}),
    "repetition 26": (BODY + ("varsler",), {"smsvarsel": SMS | {"repetisjoner": [26]}}),
    "repetition twice": (BODY + ("varsler",), {"smsvarsel": SMS | {"repetisjoner": [7, 7]}}),
    "eleven repetitions": (BODY + ("varsler",), {"smsvarsel": SMS | {"repetisjoner": list(range(11))}}),
    "SMS too long": (BODY + ("varsler",), {"smsvarsel": SMS | {"varslingstekst": "x" * 161}}),
    "mobile": (BODY + ("varsler",), {"smsvarsel": SMS | {"mobiltelefonnummer": "12 34"}}),
    "e-mail": (BODY + ("varsler",), {"epostvarsel": EMAIL | {"epostadresse": "kari"}}),
}


@pytest.fixture(scope="module")
def sample(running):
    return Letter(running).make()


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_messages_against_the_schema_are_refused(sandbox, sample, name):
    path, value = BAD_MESSAGES[name]
    before = json.dumps(sample.message)
    sample.token = sandbox.token()
    path_set(sample.message, BODY + ("maskinportentoken",), sample.token)
    path_set(sample.message, path, value)
    try:
        refused(sample.post(), 400, "")
    finally:
        sample.message = json.loads(before)


def test_limits_of_the_schema_are_accepted(sandbox):
    letter = Letter(sandbox, ikkesensitivtittel="ø" * 255, sikkerhetsnivaa=3, virkningsdato="2030-01-02",
                    varsler={"smsvarsel": SMS | {"varslingstekst": "å" * 160, "repetisjoner": list(range(16, 26))},
                             "epostvarsel": EMAIL | {"varslingstekst": "å" * 500}})
    letter.make()
    letter.body["avsender"] |= {"avsenderidentifikator": "x" * 100, "fakturaReferanse": "y" * 40}
    letter.header["businessScope"]["scope"][0]["scopeInformation"] = [{"expectedResponseDateTime": "x"}]
    assert letter.post()[0] == 201


def test_a_used_id_is_refused_with_the_providers_words(sandbox):
    letter = Letter(sandbox)
    assert letter.post()[0] == 201
    problem = refused(letter.post(), 409, f"409002: Document with ID {letter.id} already exists")
    assert problem["title"] == "CONFLICT" and problem["instance"] == "/dpi/messages/out"
    assert {"timestamp", "correlation-id"} <= problem.keys()
    path_set(letter.message, HEAD + ("documentIdentification", "instanceIdentifier"), letter.id.upper())
    refused(letter.post(), 409, "already exists")
    assert len([x for x in sandbox.letters() if x["id"] == letter.id.lower()]) == 1


def test_of_parallel_copies_one_is_taken(sandbox):
    letter = Letter(sandbox).make()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = sorted(s for s, _ in pool.map(lambda _: letter.post(), range(8)))
    assert statuses == [201] + [409] * 7
    assert len(sandbox.receipts(letter.id)) == 1


# -- what C4 finds ------------------------------------------------------------------------------


def spoil_document(entries):
    name, data = entries[1]
    entries[1] = (name, data + b" ")


def add_unsigned(entries):
    entries.insert(1, ("extra.txt", b"not signed"))


def spoil_signature(entries):
    name, data = entries[-1]
    at = data.index(b"<SignatureValue>") + 20
    entries[-1] = (name, data[:at] + (b"B" if data[at:at + 1] != b"B" else b"C") + data[at + 1:])


def no_signature(entries):
    entries.pop()


def change(**attributes):
    def apply(letter):
        for name, value in attributes.items():
            setattr(letter, name, value(letter) if callable(value) and name != "spoil" else value)
    return apply


SAME_TITLE = [("brev.html", "text/html", "Likt", b"a"), ("vedlegg-01.txt", "text/plain", "Likt", b"b")]
UNKNOWN_TYPE = [("brev.exe", "application/x-msdownload", "Program", b"MZ")]
EHF_ATTACHED = [("brev.html", "text/html", "Brev", b"a"), ("faktura.xml", "application/ehf+xml", "Faktura", b"<x/>")]
C4_FAILURES = {
    "encrypted for another provider": (change(recipient=dpi.EBOKS), "Kan ikke dekryptere"),
    "document changed after signing": (change(spoil=spoil_document), "SBD:4069"),
    "file that nobody signed": (change(spoil=add_unsigned), "SBD:4069"),
    "signature value changed": (change(spoil=spoil_signature), "SBD:4069"),
    "no signature": (change(spoil=no_signature), "SBD:4069"),
    "package signed by another organisation": (change(package_signer=lambda x: x.sandbox.party("other")),
                                               "different signers"),
    "another mailbox in the manifest": (change(manifest_mailbox=OLA_BOX), "postkasseadresse differs"),
    "another sender in the manifest": (change(manifest_sender=dpi.OTHER), "avsender differs"),
    "mailbox nobody has": (change(mailbox=NOBODY_BOX, manifest_mailbox=NOBODY_BOX), "no such postkasseadresse"),
    "mailbox of the other provider": (change(mailbox=OLA_BOX, manifest_mailbox=OLA_BOX), "no such postkasseadresse"),
    "two equal titles": (change(documents=SAME_TITLE), "SBD:5023"),
    "a type mailboxes do not take": (change(documents=UNKNOWN_TYPE), "document 1"),
    "an invoice as attachment": (change(documents=EHF_ATTACHED), "document 2"),
    "everything signed by another organisation": (
        change(signer=lambda x: x.sandbox.party("other"), package_signer=lambda x: x.sandbox.party("other")),
        "Feil signatur"),
}


@pytest.mark.parametrize("name", C4_FAILURES)
def test_mailbox_provider_answers_with_feil(sandbox, name):
    apply, words = C4_FAILURES[name]
    letter = Letter(sandbox)
    apply(letter)
    assert letter.post() == (201, None)
    kept = sandbox.letter(letter.id)
    assert words in kept["failure"] and kept["documents"] == []
    (receipt,) = sandbox.receipts(letter.id)
    assert receipt["type"] == "feil"
    body = jwt.decode(receipt["jwt"], options={"verify_signature": False})["standardBusinessDocument"]["feil"]
    assert body["feiltype"] == "KLIENT" and words in body["detaljer"]


def test_header_sender_must_be_the_signer(sandbox):
    letter = Letter(sandbox).make()
    letter.header["sender"][0]["identifier"] = dpi.organisation(dpi.OTHER)
    assert letter.post()[0] == 201
    assert "Feil signatur" in sandbox.letter(letter.id)["failure"]


def test_a_processor_sends_for_the_agency(sandbox):
    token = sandbox.token(party="processor", client=PROCESSOR_CLIENT, consumer_org=dpi.AGENCY)
    letter = Letter(sandbox, token=token)
    letter.signer = letter.package_signer = sandbox.party("processor")
    letter.make()
    letter.header["sender"][0]["identifier"] = dpi.organisation(dpi.PROCESSOR)
    assert letter.post()[0] == 201
    kept = sandbox.letter(letter.id)
    assert "failure" not in kept and kept["sender"] == dpi.AGENCY and kept["signer"] == dpi.PROCESSOR
    mine = sandbox.token(party="processor", client=PROCESSOR_CLIENT)
    listed = json.loads(sandbox.get("/dpi/messages/in", mine)[2])
    assert len(listed) == 1  # the processor fetches, without consumer_org


def test_print_letters(sandbox):
    address = {"navn": "Kari Nordmann", "adresselinje1": "Storgata 1", "postnummer": "0155", "poststed": "OSLO"}
    back = {"mottaker": address, "returposthaandtering": "DIREKTE_RETUR"}
    letter = Letter(sandbox, None, dpi.PRINT, kind="utskrift", mottaker=address, utskriftstype="SORT_HVIT",
                    retur=back, posttype="B")
    assert letter.post() == (201, None)
    assert [r["type"] for r in sandbox.receipts(letter.id)] == ["mottakskvittering", "leveringskvittering"]
    both = Letter(sandbox, None, dpi.PRINT, kind="utskrift", mottaker=address | {"land": "Norge"},
                  utskriftstype="SORT_HVIT", retur=back)
    refused(both.post(), 400, "mottaker")
    colour = Letter(sandbox, None, dpi.PRINT, kind="utskrift", mottaker=address, utskriftstype="SORT_HVITT",
                    retur=back)
    refused(colour.post(), 400, "utskriftstype")


# -- receipts -----------------------------------------------------------------------------------


def test_receipts_are_signed_by_the_provider_and_quote_the_letter(sandbox):
    token = sandbox.token()
    read_all(sandbox, token)
    letter = Letter(sandbox, OLA_BOX, dpi.EBOKS)
    letter.channel = "Gw_1-a"
    assert letter.post()[0] == 201
    status, (entry,) = fetch(sandbox, token, "?kanal=GW_1-A")
    header = jwt.get_unverified_header(entry["forretningsmelding"])
    der = dpi.base64.b64decode(header["x5c"][0])
    cert = dpi.x509.load_der_x509_certificate(der)
    assert status == 200 and der == sandbox.party("provider-922020175").der()
    claims = jwt.decode(entry["forretningsmelding"], cert.public_key(), algorithms=["RS256"])
    sbd = claims["standardBusinessDocument"]
    head, body = sbd["standardBusinessDocumentHeader"], sbd["leveringskvittering"]
    assert head["sender"][0]["identifier"] == dpi.organisation(dpi.EBOKS)
    assert head["receiver"][0]["identifier"] == dpi.organisation(dpi.AGENCY)
    original = letter.header["businessScope"]["scope"][0]
    scope = head["businessScope"]["scope"][0]
    assert (scope["instanceIdentifier"], scope["identifier"]) == (original["instanceIdentifier"],
                                                                 original["identifier"])
    assert head["documentIdentification"]["instanceIdentifier"] != letter.id
    assert body["avsender"]["virksomhetsidentifikator"] == dpi.organisation(dpi.EBOKS)
    assert body["mottaker"]["virksomhetsidentifikator"] == dpi.organisation(dpi.AGENCY)
    assert sandbox.get(urllib.parse.urlparse(entry["downloadurl"]).path, token)[0] == 404


def schema_registry():
    folder = ROOT.parent / "shared/spec/dpi/json-schema"
    if not folder.exists():
        pytest.skip("the published JSON schemas (../shared) are not here")
    return {s["$id"]: s for s in (json.loads(p.read_text()) for p in folder.rglob("*.json"))}


def test_receipts_and_our_messages_fit_the_published_schemas(sandbox):
    jsonschema = pytest.importorskip("jsonschema")
    store = schema_registry()

    def valid(claims, kind):
        schema = next(s for i, s in store.items() if i.endswith(f"/{kind}.schema.json"))
        resolver = jsonschema.RefResolver(schema["$id"], schema, store=store)
        jsonschema.Draft7Validator(schema, resolver=resolver).validate(claims)

    letter = Letter(sandbox, aapningskvittering=True)
    letter.post()
    valid(letter.message, "digital")
    sandbox.json(f"/sandbox/letters/{letter.id}/open", {})
    for words in ("sms: Ugyldig nummer", None):
        sandbox.json(f"/sandbox/letters/{letter.id}/receipts",
                     {"type": "varslingfeiletkvittering", "words": words})
    sandbox.json(f"/sandbox/letters/{letter.id}/receipts", {"type": "feil", "words": "x"})
    got = sandbox.receipts(letter.id)
    assert [r["type"] for r in got] == ["leveringskvittering", "aapningskvittering"] + \
        ["varslingfeiletkvittering"] * 2 + ["feil"]
    for receipt in got:
        valid(jwt.decode(receipt["jwt"], options={"verify_signature": False}), receipt["type"])


def test_receipts_by_channel_unit_and_owner(sandbox):
    token, other = sandbox.token(), sandbox.token(party="other", client=OTHER_CLIENT)
    read_all(sandbox, token)
    read_all(sandbox, other)
    for channel, unit in (("one", None), ("two", "123456785:skole"), (None, None)):
        letter = Letter(sandbox).make()
        letter.channel = channel
        if unit:
            letter.body["avsender"]["avsenderidentifikator"] = unit
        assert letter.post()[0] == 201
    assert len(fetch(sandbox, token)[1]) == 3
    assert len(fetch(sandbox, token, "?kanal=ONE")[1]) == 1
    assert fetch(sandbox, token, "?kanal=three") == (204, [])
    assert len(fetch(sandbox, token, "?avsenderidentifikator=123456785:skole")[1]) == 1
    assert fetch(sandbox, other) == (204, [])
    assert fetch(sandbox, token, "?kanal=a.b")[0] == 400
    assert fetch(sandbox, None)[0] == 401
    assert fetch(sandbox, sandbox.token(dpi.CONTACT))[0] == 403


def test_paging_and_marking_read(sandbox):
    token = sandbox.token()
    read_all(sandbox, token)
    for _ in range(5):
        assert Letter(sandbox).post()[0] == 201
    pages = [fetch(sandbox, token, f"?page_size=2&page={n}")[1] for n in range(4)]
    ids = [receipt_id(e) for page in pages for e in page]
    assert [len(p) for p in pages] == [2, 2, 1, 0] and len(set(ids)) == 5
    for query in ("?page_size=0", "?page_size=x", "?page=-1", "?page_size="):
        assert fetch(sandbox, token, query)[0] == 400
    read = lambda n, t: sandbox.call("POST", f"/dpi/messages/in/{n}/read",  # noqa: E731
                                     headers={"Authorization": f"Bearer {t}"})[0]
    assert read(ids[0], sandbox.token(party="other", client=OTHER_CLIENT)) == 404
    assert read(ids[0], "x") == 401
    assert [read(ids[0], token), read(ids[0], token), read(uuid.uuid4(), token)] == [200, 404, 404]
    assert [receipt_id(e) for e in fetch(sandbox, token)[1]] == ids[1:]


def test_statuses_are_the_senders_only(sandbox):
    letter = Letter(sandbox)
    letter.post()
    path = f"/dpi/messages/out/{letter.id}/statuses"
    assert sandbox.get(path)[0] == 401
    assert sandbox.get(path, sandbox.token(dpi.CONTACT))[0] == 403
    assert sandbox.get(path, sandbox.token(party="other", client=OTHER_CLIENT))[0] == 404
    assert sandbox.get(f"/dpi/messages/out/{uuid.uuid4()}/statuses", letter.token)[0] == 404


def test_opening_a_letter_sends_the_receipt_once_and_only_if_ordered(sandbox):
    ordered, plain = Letter(sandbox, aapningskvittering=True), Letter(sandbox)
    later = Letter(sandbox, aapningskvittering=True, virkningstidspunkt="2199-01-01T00:00:00Z")
    for letter in (ordered, plain, later):
        assert letter.post()[0] == 201
    assert sandbox.json(f"/sandbox/letters/{ordered.id}/open", {}) == {"first": True}
    assert sandbox.json(f"/sandbox/letters/{ordered.id}/open", {}) == {"first": False}
    sandbox.json(f"/sandbox/letters/{plain.id}/open", {})
    assert sandbox.call("POST", f"/sandbox/letters/{later.id}/open")[0] == 409
    kinds = lambda x: [r["type"] for r in sandbox.receipts(x.id)]  # noqa: E731
    assert kinds(ordered) == ["leveringskvittering", "aapningskvittering"]
    assert kinds(plain) == kinds(later) == ["leveringskvittering"]
