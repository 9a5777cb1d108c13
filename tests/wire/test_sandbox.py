# SPDX-License-Identifier: Apache-2.0
"""brevdue-sandbox over HTTP: every check its stand-ins make, with the case that must fail. What it is
fed is made by tests/lib/dpi.py, without brevdue's own code."""

import concurrent.futures
import copy
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import jwt
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
import dpi  # noqa: E402
from files import pdf, png  # noqa: E402

KARI, KARI_BOX = "01819090013", "kari.provesen#1ABC"
OLA, OLA_BOX = "15906312309", "0000487204"
RESERVED, DELETED, UNKNOWN = "02828510188", "04849510245", "13819911155"
NOBODY_BOX = "0000999999"
CLIENT = "00000000-0000-4000-8000-00000000000%d"
AGENCY_CLIENT, KID_CLIENT, OTHER_CLIENT, PROCESSOR_CLIENT = (CLIENT % n for n in (1, 2, 3, 4))


class Sandbox:
    """The running daemon and a client for it."""

    def __init__(self, folder, *options):
        build = pathlib.Path(os.environ.get("BREVDUE_BUILD", ROOT / "build")).resolve()
        self.program = next((p for p in (build / "sandbox/brevdue-sandbox", build / "brevdue-sandbox")
                             if p.exists()), None)
        if self.program is None:
            pytest.skip("brevdue-sandbox is not built (BREVDUE_BUILD)")
        self.folder, self.options, self.port = pathlib.Path(folder), options, 0
        self.parties = {}
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "--dir", self.folder, "--listen", f"127.0.0.1:{self.port}", *self.options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.said = []
        for line in self.process.stdout:
            self.said.append(line.strip())
            if line.strip() == "ready":
                break
        else:
            raise AssertionError(f"the sandbox did not start: {self.said}")
        self.url = next(x.split()[1] for x in self.said if x.startswith("page")).rstrip("/")
        self.port = int(self.url.rsplit(":", 1)[1])
        self.issuer = self.url + "/"

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        self.process.stdout.close()
        return self.process.wait(20)

    def call(self, method, path, body=None, headers=None):
        """Status, headers, body; no redirects followed."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            c.request(method, path, body=body, headers=headers or {})
            answer = c.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            c.close()

    def get(self, path, token=None):
        return self.call("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})

    def json(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body)
        status, _, text = self.call(method or ("GET" if body is None else "POST"), path, data,
                                    {"Content-Type": "application/json"} if data else {})
        assert status in (200, 201), text
        return json.loads(text)

    def party(self, name):
        """A fresh copy: loading a key checks it, which takes long."""
        if name not in self.parties:
            self.parties[name] = dpi.Party(self.folder, name)
        return copy.copy(self.parties[name])

    def ask_token(self, assertion, grant_type=dpi.GRANT_TYPE, kind="application/x-www-form-urlencoded"):
        body = urllib.parse.urlencode({"grant_type": grant_type, "assertion": assertion})
        status, _, text = self.call("POST", "/token", body, {"Content-Type": kind})
        return status, json.loads(text)

    def token(self, scope=dpi.SEND, party="agency", client=AGENCY_CLIENT, **claims):
        status, answer = self.ask_token(dpi.grant(self.party(party), client, self.issuer, scope, **claims))
        assert status == 200, answer
        return answer["access_token"]

    def faults(self, **switches):
        return self.json("/sandbox/faults", switches)

    def letter(self, instance):
        status, _, text = self.get(f"/sandbox/letters/{instance}")
        return json.loads(text) if status == 200 else None

    def letters(self):
        return self.json("/sandbox/letters")["letters"]

    def receipts(self, instance):
        return [r for r in self.json("/sandbox/receipts")["receipts"] if r["message"] == instance]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sandbox") / "dir"


@pytest.fixture(scope="module")
def running(folder):
    sandbox = Sandbox(folder)
    yield sandbox
    assert sandbox.stop() == 0


def fresh(running, folder, *options):
    """Another sandbox with the same certificates: making new keys takes seconds."""
    folder.mkdir()
    for path in (*running.folder.glob("*.pem"), *running.folder.glob("*.key")):
        shutil.copy2(path, folder)
    return Sandbox(folder, *options)


@pytest.fixture
def sandbox(running):
    yield running
    running.json("/sandbox/faults", method="DELETE")


class Letter:
    """A letter whose every part can be changed before it is posted."""

    def __init__(self, sandbox, mailbox=KARI_BOX, provider=dpi.DIGIPOST, title="Svar på søknad",
                 documents=None, token=None, signer="agency", **members):
        self.sandbox, self.mailbox, self.provider = sandbox, mailbox, provider
        self.signer = sandbox.party(signer)
        self.token = token or sandbox.token()
        self.documents = documents or [
            ("brev.html", "text/html", title, b"<!DOCTYPE html><p>Hei</p>"),
            ("vedlegg-01.pdf", "application/pdf", "Vedlegg", pdf()),
        ]
        self.package_signer, self.manifest_mailbox = self.signer, mailbox
        self.manifest_sender, self.recipient, self.spoil = dpi.AGENCY, provider, None
        self.members, self.channel = members, None
        self.message = None

    def make(self):
        inner = dpi.asice(self.documents, self.manifest_mailbox, self.package_signer,
                          self.manifest_sender, self.spoil)
        self.package = dpi.cms(inner, self.sandbox.folder / f"provider-{self.recipient}.pem")
        self.message = dpi.business_message(self.package, self.token, self.mailbox, self.provider,
                                            **self.members)
        return self

    @property
    def header(self):
        return self.message["standardBusinessDocument"]["standardBusinessDocumentHeader"]

    @property
    def body(self):
        return self.message["standardBusinessDocument"]["digital"]

    @property
    def id(self):
        return self.header["documentIdentification"]["instanceIdentifier"]

    def post(self, jwt_text=None, parts=None, token=None, path=None):
        if self.message is None:
            self.make()
        if parts is None:
            parts = [("forretningsmelding", "sbd.jwt", "application/jwt",
                      (jwt_text or dpi.message_jwt(self.message, self.signer)).encode()),
                     ("dokumentpakke", "asic.cms", "application/cms", self.package)]
        body, kind = dpi.multipart(parts)
        path = path or "/dpi/messages/out" + (f"?kanal={self.channel}" if self.channel else "")
        headers = {"Content-Type": kind}
        if token != "":
            headers["Authorization"] = f"Bearer {token or self.token}"
        status, _, text = self.sandbox.call("POST", path, body, headers)
        return status, (json.loads(text) if text else None)


def refused(answer, status, words):
    """The problem document with that status, whose detail has the words."""
    got, problem = answer
    assert got == status, (got, problem)
    assert {"type", "title", "status", "detail", "instance"} <= problem.keys()
    assert words in problem["detail"], problem["detail"]
    return problem


# -- what is made at start ----------------------------------------------------------------------


def test_certificates_are_a_chain_other_tools_accept(sandbox):
    for name in ("agency", "other", "processor", *(f"provider-{p}" for p in (dpi.DIGIPOST, dpi.EBOKS, dpi.PRINT))):
        out = subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", sandbox.folder / "root.pem",
                              "-untrusted", sandbox.folder / "intermediate.pem",
                              sandbox.folder / f"{name}.pem"], capture_output=True, text=True)
        assert out.returncode == 0, out.stderr
        key = (sandbox.folder / f"{name}.key").stat()
        assert stat.S_IMODE(key.st_mode) == 0o600
    agency = sandbox.party("agency")
    subject = agency.chain[0].subject.rfc4514_string()
    assert "2.5.4.97=NTRNO-123456785" in subject
    assert len(agency.chain) == 3 and agency.chain[2].issuer == agency.chain[2].subject
    assert (sandbox.folder / "trust.pem").read_text().count("BEGIN CERTIFICATE") == 2


def test_a_second_start_keeps_the_certificates(running, tmp_path):
    first = fresh(running, tmp_path / "d")
    (first.folder / "agency.pem").unlink()
    first.stop()
    first.start()
    before = {p.name: p.read_bytes() for p in first.folder.glob("*.*") if p.name != "persons.json"}
    assert any(line.startswith("made") for line in first.said)
    first.stop()
    first.start()
    assert {p.name: p.read_bytes() for p in first.folder.glob("*.*") if p.name != "persons.json"} == before
    assert not any(line.startswith("made") for line in first.said)
    first.stop()


def test_two_sandboxes_cannot_share_a_folder(sandbox):
    out = subprocess.run([sandbox.program, "--dir", sandbox.folder, "--listen", "127.0.0.1:0"],
                         capture_output=True, text=True, timeout=60)
    assert out.returncode == 1 and "ready" not in out.stdout


@pytest.mark.parametrize("options", [["--listen", "127.0.0.1:http"], ["--listen", "nowhere:1"],
                                     ["--token-life", "1"], ["--persons", "/nonexistent"], ["--what"]])
def test_bad_options_are_refused(sandbox, tmp_path, options):
    out = subprocess.run([sandbox.program, "--dir", tmp_path / "d", *options], capture_output=True,
                         text=True, timeout=120)
    assert out.returncode in (1, 64) and out.stderr


# -- tokens -------------------------------------------------------------------------------------


def test_token_is_what_another_library_verifies(sandbox):
    token = sandbox.token(f"{dpi.CONTACT} {dpi.MAILBOX}")
    key = jwt.PyJWKSet.from_dict(sandbox.json("/jwk")).keys[0]
    claims = jwt.decode(token, key.key, algorithms=["RS256"], issuer=sandbox.issuer,
                        options={"verify_aud": False})
    assert jwt.get_unverified_header(token)["kid"] == key.key_id
    assert claims["consumer"] == {"authority": dpi.AUTHORITY, "ID": "0192:123456785"}
    assert claims["scope"] == f"{dpi.CONTACT} {dpi.MAILBOX}" and claims["aud"] == "unspecified"
    assert claims["client_id"] == AGENCY_CLIENT and claims["client_amr"] == "virksomhetssertifikat"
    assert claims["exp"] - claims["iat"] == 120 and "supplier" not in claims
    meta = sandbox.json("/.well-known/oauth-authorization-server")
    assert meta["issuer"] == sandbox.issuer and meta["token_endpoint"] == sandbox.url + "/token"


def test_token_for_a_processor_names_both(sandbox):
    token = sandbox.token(party="processor", client=PROCESSOR_CLIENT, consumer_org=dpi.AGENCY,
                          resource=[sandbox.url + "/dpi"])
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["consumer"]["ID"] == "0192:123456785" and claims["supplier"]["ID"] == "0192:314159268"
    assert claims["aud"] == [sandbox.url + "/dpi"]


def test_token_with_a_registered_key(sandbox):
    party = sandbox.party("agency")
    party.key = dpi.serialization.load_pem_private_key((sandbox.folder / "client-kid.key").read_bytes(), None)
    status, answer = sandbox.ask_token(dpi.grant(party, KID_CLIENT, sandbox.issuer, header={"kid": "sandbox-key-1"}))
    assert status == 200, answer
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["client_amr"] == "private_key_jwt"
    for header in ({"kid": "x"}, None):
        status, answer = sandbox.ask_token(dpi.grant(party, KID_CLIENT, sandbox.issuer, header=header))
        assert (status, answer["error"]) == (400, "invalid_grant") and "MP-121" in answer["error_description"]


def now(offset=0):
    return int(time.time()) + offset


REFUSED_GRANTS = {
    # name: (party, client, header function, claims, status, error, code)
    "unknown client": ("agency", "nobody", None, {}, 400, "invalid_grant", "MP-100"),
    "audience without slash": ("agency", AGENCY_CLIENT, None, lambda s: {"aud": s.url}, 400, "invalid_grant", "MP-110"),
    "no audience": ("agency", AGENCY_CLIENT, None, {"aud": None}, 400, "invalid_grant", "MP-110"),
    "another organisation's certificate": ("other", AGENCY_CLIENT, None, {}, 400, "invalid_grant", "MP-122"),
    "x5c is text": ("agency", AGENCY_CLIENT, lambda p: {"x5c": dpi.b64(p.der())}, {}, 400, "invalid_grant", "MP-123"),
    "x5c is junk": ("agency", AGENCY_CLIENT, lambda p: {"x5c": ["AAAA"]}, {}, 400, "invalid_grant", "MP-123"),
    "no x5c": ("agency", AGENCY_CLIENT, lambda p: {"typ": "JWT"}, {}, 400, "invalid_grant", "MP-123"),
    "unknown kid": ("agency", AGENCY_CLIENT, lambda p: {"kid": "k"}, {}, 400, "invalid_grant", "MP-121"),
    "signed with RS512": ("agency", AGENCY_CLIENT, lambda p: {"alg": "RS512", "x5c": [dpi.b64(p.der())]}, {},
                          400, "invalid_request", "MP-011"),
    "expired": ("agency", AGENCY_CLIENT, None, lambda s: {"iat": now(-100), "exp": now(-1)}, 400, "invalid_grant",
                "MP-130"),
    "issued in the future": ("agency", AGENCY_CLIENT, None, lambda s: {"iat": now(30), "exp": now(100)}, 400,
                             "invalid_grant", "MP-130"),
    "lives too long": ("agency", AGENCY_CLIENT, None, lambda s: {"exp": now(200)}, 400, "invalid_grant", "MP-130"),
    "no iat": ("agency", AGENCY_CLIENT, None, {"iat": None}, 400, "invalid_request", "MP-011"),
    "scope unknown": ("agency", AGENCY_CLIENT, None, {"scope": "krr:global/other"}, 400, "invalid_scope", "MP-200"),
    "one scope of two unknown": ("agency", AGENCY_CLIENT, None, {"scope": dpi.SEND + " x"}, 400, "invalid_scope",
                                 "MP-200"),
    "no scope": ("agency", AGENCY_CLIENT, None, {"scope": None}, 400, "invalid_scope", "MP-200"),
    "own number as consumer_org": ("agency", AGENCY_CLIENT, None, {"consumer_org": dpi.AGENCY}, 400,
                                   "invalid_request", "own organisation"),
    "no delegation": ("agency", AGENCY_CLIENT, None, {"consumer_org": dpi.OTHER}, 403, "access_denied", "MP-251"),
    "processor without delegation": ("processor", PROCESSOR_CLIENT, None, {"consumer_org": dpi.OTHER}, 403,
                                     "access_denied", "MP-251"),
}


@pytest.mark.parametrize("name", REFUSED_GRANTS)
def test_grants_that_are_refused(sandbox, name):
    party, client, header, claims, status, error, code = REFUSED_GRANTS[name]
    party = sandbox.party(party)
    claims = dict(claims(sandbox) if callable(claims) else claims)
    scope = claims.pop("scope", dpi.SEND)
    assertion = dpi.grant(party, client, sandbox.issuer, scope, header(party) if header else None, **claims)
    got, answer = sandbox.ask_token(assertion)
    assert (got, answer["error"]) == (status, error), answer
    assert code in answer["error_description"]


def test_grant_with_a_changed_signature_is_refused(sandbox):
    head, payload, signature = dpi.grant(sandbox.party("agency"), AGENCY_CLIENT, sandbox.issuer).split(".")
    spoilt = ("B" if signature[0] == "A" else "A") + signature[1:]
    status, answer = sandbox.ask_token(f"{head}.{payload}.{spoilt}")
    assert status == 400 and "MP-124" in answer["error_description"]


def test_grant_can_be_used_once(sandbox):
    party = sandbox.party("agency")
    jti = str(uuid.uuid4())
    assert sandbox.ask_token(dpi.grant(party, AGENCY_CLIENT, sandbox.issuer, jti=jti))[0] == 200
    status, answer = sandbox.ask_token(dpi.grant(party, AGENCY_CLIENT, sandbox.issuer, jti=jti))
    assert status == 400 and "MP-012" in answer["error_description"]
    without = dpi.grant(party, AGENCY_CLIENT, sandbox.issuer, jti=None)
    assert [sandbox.ask_token(without)[0] for _ in range(2)] == [200, 400]


def test_a_certificate_from_elsewhere_is_refused(sandbox, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "s.key",
                    "-out", tmp_path / "s.pem", "-subj", "/C=NO/O=X/organizationIdentifier=NTRNO-123456785/CN=X",
                    "-addext", "keyUsage=digitalSignature"], check=True, capture_output=True)
    status, answer = sandbox.ask_token(dpi.grant(dpi.Party(tmp_path, "s"), AGENCY_CLIENT, sandbox.issuer))
    assert status == 400 and "MP-120" in answer["error_description"]


def test_token_call_must_be_the_right_form(sandbox):
    good = dpi.grant(sandbox.party("agency"), AGENCY_CLIENT, sandbox.issuer)
    assert sandbox.ask_token(good, grant_type="password")[1]["error"] == "unsupported_grant_type"
    assert sandbox.ask_token(good, kind="application/json")[0] == 400
    assert sandbox.ask_token("")[1]["error"] == "invalid_request"
    assert sandbox.ask_token("a.b")[1]["error"] == "invalid_request"
    assert sandbox.call("GET", "/token")[0] == 405


# -- register -----------------------------------------------------------------------------------


def look_up(sandbox, numbers, token, version="v2"):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = numbers if isinstance(numbers, str) else json.dumps({"personidentifikatorer": numbers})
    status, _, text = sandbox.call("POST", f"/rest/{version}/personer", body, headers)
    return status, json.loads(text)


def test_register_answers_in_the_order_asked(sandbox):
    token = sandbox.token(f"{dpi.CONTACT} {dpi.MAILBOX}")
    status, answer = look_up(sandbox, [OLA, UNKNOWN, KARI], token)
    assert status == 200
    ola, unknown, kari = answer["personer"]
    assert [p["personidentifikator"] for p in answer["personer"]] == [OLA, UNKNOWN, KARI]
    assert (unknown["status"], unknown["varslingsstatus"]) == ("IKKE_REGISTRERT", "KAN_IKKE_VARSLES")
    assert kari["digital_post"]["postkasseadresse"] == KARI_BOX and kari["reservasjon"] == "NEI"
    assert dpi.base64.b64decode(kari["sertifikat"]) == sandbox.party("provider-984661185").der()
    assert dpi.base64.b64decode(ola["sertifikat"]) == sandbox.party("provider-922020175").der()
    assert not any(k.startswith("_") for p in answer["personer"] for k in p)


def test_register_dates_do_not_age(sandbox):
    status, answer = look_up(sandbox, [KARI], sandbox.token(dpi.CONTACT))
    when = answer["personer"][0]["kontaktinformasjon"]["epostadresse_sist_verifisert"]
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(when + ":00")
    assert status == 200 and age.days == 20


def test_register_gives_members_by_scope(sandbox):
    contact = look_up(sandbox, [KARI], sandbox.token(dpi.CONTACT))[1]["personer"][0]
    mailbox = look_up(sandbox, [KARI], sandbox.token(dpi.MAILBOX), "v1")[1]["personer"][0]
    assert "varslingsstatus" in contact and not contact.keys() & {"digital_post", "sertifikat"}
    assert "sertifikat" in mailbox
    assert not mailbox.keys() & {"varslingsstatus", "kontaktinformasjon", "spraak"}
    assert "status" in contact and "status" in mailbox


def test_register_refuses(sandbox):
    token = sandbox.token(dpi.CONTACT)
    assert look_up(sandbox, [KARI], None)[0] == 401
    assert look_up(sandbox, [KARI], token[:-4] + "AAAA")[0] == 401
    assert look_up(sandbox, [KARI], sandbox.token(dpi.SEND))[0] == 403
    for bad in ([], ["12345678901"], [12], [KARI] * 1001, "{", "[]", '{"personidentifikator":[]}'):
        assert look_up(sandbox, bad, token)[0] == 400, bad
    assert look_up(sandbox, [KARI] * 1000, token)[0] == 200


def test_print_certificate_needs_no_token(sandbox):
    answer = sandbox.json("/rest/v2/printSertifikat")
    assert answer["postkasseleverandoerAdresse"] == dpi.PRINT
    assert dpi.base64.b64decode(answer["x509Sertifikat"]) == sandbox.party("provider-974761076").der()


def test_import_file_is_the_register_without_notes(sandbox):
    written = json.loads((sandbox.folder / "persons.json").read_text())["personer"]
    shown = sandbox.json("/sandbox/persons")["personer"]
    assert len(written) == len(shown) > 10
    assert not any(k.startswith("_") for p in written for k in p)
    assert {p["status"] for p in written} >= {"AKTIV", "SLETTET", "IKKE_REGISTRERT"}
    expired = next(p for p in written if p["personidentifikator"] == "10905411018")
    cert = dpi.x509.load_der_x509_certificate(dpi.base64.b64decode(expired["sertifikat"]))
    assert cert.not_valid_after < datetime.datetime.utcnow()


@pytest.mark.parametrize("person", [{"personidentifikator": "12345678901"},
                                    {"personidentifikator": KARI, "oppdatert": "now-3w"},
                                    {"personidentifikator": KARI, "sertifikat": "123456785"}])
def test_bad_persons_stop_the_start(sandbox, tmp_path, person):
    (tmp_path / "p.json").write_text(json.dumps({"personer": [person]}))
    (tmp_path / "d").mkdir()
    for path in (*sandbox.folder.glob("*.pem"), *sandbox.folder.glob("*.key")):
        shutil.copy2(path, tmp_path / "d")
    out = subprocess.run([sandbox.program, "--dir", tmp_path / "d", "--listen", "127.0.0.1:0", "--persons",
                          tmp_path / "p.json"], capture_output=True, text=True, timeout=120)
    assert out.returncode == 1 and "person 1" in out.stderr


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


def path_set(document, path, value):
    *before, last = path
    for name in before:
        document = document[name]
    if value is None:
        del document[last]
    else:
        document[last] = value


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


def fetch(sandbox, token, query=""):
    status, _, text = sandbox.get(f"/dpi/messages/in{query}", token)
    return status, (json.loads(text) if text else [])


def receipt_id(entry):
    claims = jwt.decode(entry["forretningsmelding"], options={"verify_signature": False})
    head = claims["standardBusinessDocument"]["standardBusinessDocumentHeader"]
    return head["documentIdentification"]["instanceIdentifier"]


def read_all(sandbox, token):
    while True:
        _, listed = fetch(sandbox, token, "?page_size=1000")
        if not listed:
            return
        for entry in listed:
            assert sandbox.call("POST", f"/dpi/messages/in/{receipt_id(entry)}/read",
                                headers={"Authorization": f"Bearer {token}"})[0] == 200


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


# -- faults -------------------------------------------------------------------------------------


def test_error_answers_count_down(sandbox):
    sandbox.faults(fail=2, fail_status=502)
    letter = Letter(sandbox)
    assert [letter.post()[0] for _ in range(4)] == [502, 502, 201, 409]


def test_connection_cut_before_and_after_processing(sandbox):
    letter = Letter(sandbox)
    sandbox.faults(cut_before=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        letter.post()
    assert sandbox.letter(letter.id) is None
    sandbox.faults(cut_after=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        letter.post()
    assert sandbox.letter(letter.id) is not None
    refused(letter.post(), 409, "already exists")


def test_duplicate_answer_on_the_first_attempt(sandbox):
    sandbox.faults(duplicate=1)
    letter = Letter(sandbox)
    refused(letter.post(), 409, "already exists")
    assert "failure" not in sandbox.letter(letter.id)


def test_given_up_letters(sandbox):
    sandbox.faults(failed=1)
    letter = Letter(sandbox)
    assert letter.post()[0] == 201
    statuses = json.loads(sandbox.get(f"/dpi/messages/out/{letter.id}/statuses", letter.token)[2])
    assert [s["status"] for s in statuses] == ["OPPRETTET", "FEILET"] and sandbox.receipts(letter.id) == []


def test_delay_holds_letters_only(sandbox):
    sandbox.faults(delay_ms=1500)
    letter = Letter(sandbox).make()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        waiting = pool.submit(letter.post)
        assert sandbox.get("/")[0] == 200 and not waiting.done()
        assert waiting.result()[0] == 201 and time.monotonic() - started >= 1.5


def test_services_down(sandbox):
    token = sandbox.token(f"{dpi.CONTACT} {dpi.MAILBOX}")
    sandbox.faults(token_down=1, register_down=True)
    assert sandbox.ask_token(dpi.grant(sandbox.party("agency"), AGENCY_CLIENT, sandbox.issuer))[0] == 503
    assert look_up(sandbox, [KARI], token)[0] == 503
    assert sandbox.get("/rest/v2/printSertifikat")[0] == 503
    sandbox.faults(token_down=False, register_down=0)
    assert look_up(sandbox, [KARI], token)[0] == 200 and sandbox.token()


def test_receipts_can_be_withheld(sandbox):
    letter = Letter(sandbox)
    letter.channel = "held"
    letter.post()
    sandbox.faults(receipts_withheld=1)
    assert fetch(sandbox, letter.token, "?kanal=held") == (204, [])
    sandbox.faults(receipts_withheld=0)
    assert len(fetch(sandbox, letter.token, "?kanal=held")[1]) == 1


@pytest.mark.parametrize("body", ['{"nothing":1}', '{"fail":"x"}', '{"fail":-2}', '{"fail_status":200}', "[]", "{"])
def test_bad_switches_change_nothing(sandbox, body):
    before = sandbox.json("/sandbox/faults")
    assert sandbox.call("POST", "/sandbox/faults", body)[0] == 400
    assert sandbox.json("/sandbox/faults") == before


# -- the page and the rest ----------------------------------------------------------------------


EVIL = '<script>alert("x")</script>&\'"'


def test_pages_escape_what_is_foreign(sandbox):
    letter = Letter(sandbox, title=EVIL, ikkesensitivtittel=EVIL, documents=[
        ("brev.html", "text/html", EVIL, b"<script>document.title='x'</script><p>Hei</p>"),
        ("vedlegg-01.xml", "application/ehf+xml", "EHF", b"<x/>")],
        varsler={"epostvarsel": EMAIL | {"varslingstekst": EVIL}})
    assert letter.post()[0] == 201
    sandbox.json(f"/sandbox/letters/{letter.id}/receipts", {"type": "feil", "words": EVIL})
    pages = ["/", "/register", "/mailboxes", "/letters", f"/letters/{letter.id}", "/receipts", "/faults",
             "/calls", "/setup", "/mailbox?provider=984661185&address=" + urllib.parse.quote(KARI_BOX)]
    for page in pages:
        status, headers, text = sandbox.get(page)
        assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8", page
        assert b"<script" not in text and b'alert("x")' not in text, page
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "script-src" not in policy and "unsafe" not in policy
    assert b"&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;&quot;" in sandbox.get(f"/letters/{letter.id}")[2]
    status, headers, text = sandbox.get(f"/letters/{letter.id}/documents/0")
    assert status == 200 and text == letter.documents[0][3]
    assert headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    status, headers, _ = sandbox.get(f"/letters/{letter.id}/documents/1")
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"] == 'attachment; filename="vedlegg-01.xml"'


def test_pages_are_whole_documents(sandbox):
    import html.parser

    class Checker(html.parser.HTMLParser):
        void = {"meta", "link", "img", "br", "input"}

        def __init__(self):
            super().__init__()
            self.stack, self.ids, self.fors, self.headings, self.lang = [], set(), set(), 0, None

        def handle_starttag(self, tag, attrs):
            attrs = dict(attrs)
            if tag not in self.void:
                self.stack.append(tag)
            if "id" in attrs:
                assert attrs["id"] not in self.ids
                self.ids.add(attrs["id"])
            self.lang = attrs.get("lang", self.lang) if tag == "html" else self.lang
            self.headings += tag == "h1"
            if tag in ("input", "select") and attrs.get("type") != "hidden":
                self.fors.add(attrs["id"])
            if tag == "label":
                self.fors.discard(attrs["for"])
                assert attrs["for"]
                self.labels = getattr(self, "labels", set()) | {attrs["for"]}
            if tag == "img":
                assert "alt" in attrs
            if tag == "iframe":
                assert "sandbox" in attrs and attrs["title"]

        def handle_endtag(self, tag):
            if tag in ("li", "p", "option") and self.stack[-1] != tag:
                return
            assert self.stack.pop() == tag

    letter = Letter(sandbox)
    letter.post()
    for page in ("/", "/register", "/mailboxes", "/letters", f"/letters/{letter.id}", "/receipts", "/faults", "/calls",
                 "/setup"):
        checker = Checker()
        checker.feed(sandbox.get(page)[2].decode())
        assert checker.stack == [] and checker.lang == "en" and checker.headings == 1, page
        assert checker.fors <= getattr(checker, "labels", set()), page


def form(sandbox, path, headers=None, **fields):
    return sandbox.call("POST", path, urllib.parse.urlencode(fields),
                        {"Content-Type": "application/x-www-form-urlencoded"} | (headers or {}))


def test_the_pages_forms(sandbox):
    letter = Letter(sandbox, aapningskvittering=True)
    letter.post()
    status, headers, _ = form(sandbox, f"/letters/{letter.id}/open")
    assert status == 303 and headers["Location"] == f"/letters/{letter.id}"
    assert b"Open the letter" not in sandbox.get(f"/letters/{letter.id}")[2]
    assert form(sandbox, f"/letters/{letter.id}/receipt", type="varslingfeiletkvittering", words="sms")[0] == 303
    assert form(sandbox, f"/letters/{letter.id}/receipt", type="mottakskvittering")[0] == 400
    assert form(sandbox, f"/letters/{uuid.uuid4()}/open")[0] == 409
    assert form(sandbox, "/faults", fail="3", register_down="1", delay_ms="5")[0] == 303
    assert sandbox.json("/sandbox/faults")["fail"] == 3 and sandbox.json("/sandbox/faults")["register_down"] == 1
    assert b"Fault switches are on" in sandbox.get("/")[2]
    assert form(sandbox, "/faults", fail="x")[0] == 400 and form(sandbox, "/faults", fail="-5")[0] == 400
    assert form(sandbox, "/faults", fail="3")[0] == 303  # boxes not ticked are off
    assert sandbox.json("/sandbox/faults")["register_down"] == 0
    assert form(sandbox, "/faults", clear="1")[0] == 303 and sandbox.json("/sandbox/faults")["fail"] == 0
    assert form(sandbox, "/faults", {"Origin": "https://evil.example"}, fail="1")[0] == 403
    assert form(sandbox, "/faults", {"Origin": sandbox.url}, fail="0")[0] == 303


@pytest.mark.parametrize("path", ["/nothing", "/letters/x/documents/0", "/letters/../x", "/mailbox?provider=1",
                                  "/letters/%2e%2e%2fagency.key", "/sandbox/letters/x"])
def test_what_does_not_exist(sandbox, path):
    assert sandbox.get(path)[0] == 404


def test_document_numbers_are_checked(sandbox):
    letter = Letter(sandbox)
    letter.post()
    for n in ("-1", "2", "0x0", "00000000000000000000009", "0/..", "+0", ""):
        assert sandbox.get(f"/letters/{letter.id}/documents/{n}")[0] == 404, n


def test_calls_are_counted_without_ids(sandbox):
    before = sandbox.json("/sandbox/log")["counts"].get("POST /rest/v2/personer", {}).get("401", 0)
    look_up(sandbox, [KARI], None)
    log = sandbox.json("/sandbox/log")
    assert log["counts"]["POST /rest/v2/personer"]["401"] == before + 1
    assert KARI not in json.dumps(log) and not any(
        x["id"] in json.dumps(log["calls"]) for x in sandbox.letters())


def test_a_restart_keeps_letters_receipts_and_ids(running, tmp_path):
    sandbox = fresh(running, tmp_path / "d")
    token = sandbox.token()
    letters = [Letter(sandbox, token=token) for _ in range(3)]
    for letter in letters:
        letter.channel = "kept"
        assert letter.post()[0] == 201
    first = receipt_id(fetch(sandbox, token)[1][0])
    sandbox.call("POST", f"/dpi/messages/in/{first}/read", headers={"Authorization": f"Bearer {token}"})
    before, waiting = sandbox.letters(), fetch(sandbox, token)[1]
    (sandbox.folder / "messages" / f".new-{uuid.uuid4()}").mkdir()  # as a kill would leave it
    assert sandbox.stop(signal.SIGKILL) == -signal.SIGKILL
    sandbox.start()
    assert sandbox.letters() == before and [x["id"] for x in before] == [x.id for x in letters]
    assert fetch(sandbox, token, "?kanal=kept")[1] == waiting and len(waiting) == 2
    refused(letters[0].post(), 409, "already exists")
    assert sandbox.get(f"/letters/{letters[1].id}/documents/1")[2] == letters[1].documents[1][3]
    assert not list((sandbox.folder / "messages").glob(".new-*"))
    for path in (sandbox.folder / "messages").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert sandbox.stop() == 0
