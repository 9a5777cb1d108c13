# SPDX-License-Identifier: Apache-2.0
"""brevdue-sandbox: the token service and the register, with every grant and question refused."""

import datetime
import json
import shutil
import subprocess
import time
import uuid

import jwt
import pytest

import dpi
from sandbox_client import (AGENCY_CLIENT, KARI, KARI_BOX, KID_CLIENT, OLA, PROCESSOR_CLIENT, UNKNOWN,
                            look_up)


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
