# SPDX-License-Identifier: Apache-2.0
"""JWTs against another library and the known attacks; certificates and organisation numbers."""

import base64
import hmac
import json
import re

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from envelope import refusal, run, tool, TOOL, world  # noqa: F401
from pki import Party


# JWT

def b64(data):
    data = json.dumps(data).encode() if isinstance(data, dict) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(key, header, payload):
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def test_jwt_by_another_library(world, tmp_path):
    payload = {"a": "æ/\\", "n": [1, 2]}
    (tmp_path / "p").write_text(json.dumps(payload))
    token = tool("jwt-sign", world.key, world.cert, tmp_path / "p").decode()
    header = jwt.get_unverified_header(token)
    assert base64.urlsafe_b64decode(token.split(".")[0] + "==").startswith(b'{"x5c":["MII')
    assert list(header) == ["x5c", "alg"] and header["alg"] == "RS256" and len(header["x5c"]) == 1
    leaf = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0]))
    assert leaf == world.sender.cert
    assert jwt.decode(token, leaf.public_key(), algorithms=["RS256"]) == payload
    (tmp_path / "t").write_text(token)
    assert json.loads(tool("jwt-verify", tmp_path / "t")) == payload
    by_kid = tool("jwt-sign", world.key, world.cert, tmp_path / "p", "key-1").decode()
    assert jwt.get_unverified_header(by_kid) == {"kid": "key-1", "alg": "RS256"}
    assert jwt.decode(by_kid, leaf.public_key(), algorithms=["RS256"]) == payload


def test_jwt_of_another_library(world, tmp_path):
    x5c = base64.b64encode(world.sender.cert.public_bytes(serialization.Encoding.DER)).decode()
    (tmp_path / "t").write_text(jwt.encode({"a": 1}, world.sender.key, algorithm="RS256",
                                           headers={"x5c": [x5c], "kid": "x", "extra": {}}))
    assert json.loads(tool("jwt-verify", tmp_path / "t")) == {"a": 1}
    (tmp_path / "t").write_text(jwt.encode({"a": 1}, world.sender.key, algorithm="RS384"))
    assert "not RS256" in refusal("jwt-verify", tmp_path / "t", world.cert)


def jwt_attacks(world):
    key, payload, right = world.sender.key, {"a": 1}, {"alg": "RS256"}
    token = signed(key, right, payload)
    head, body, mac = token.split(".")
    pem = world.cert.read_bytes()
    public = world.sender.key.public_key().public_bytes(serialization.Encoding.PEM,
                                                        serialization.PublicFormat.SubjectPublicKeyInfo)
    hs = f"{b64({'alg': 'HS256'})}.{body}"
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(mac) == 342  # two characters carry 8 bits of 12: the last has four loose bits
    return {
        "alg none": f"{b64({'alg': 'none'})}.{body}.",
        "alg none with a signature": f"{b64({'alg': 'none'})}.{body}.{mac}",
        "alg None": signed(key, {"alg": "None"}, payload),
        "no alg": signed(key, {}, payload),
        "alg twice": signed(key, b'{"alg":"RS256","alg":"none"}', payload),
        "alg a list": signed(key, {"alg": ["RS256"]}, payload),
        "public key as HMAC key": f"{hs}.{b64(hmac.new(public, hs.encode(), 'sha256').digest())}",
        "certificate as HMAC key": f"{hs}.{b64(hmac.new(pem, hs.encode(), 'sha256').digest())}",
        "crit": signed(key, {"alg": "RS256", "crit": ["exp"], "exp": 1}, payload),
        "empty crit": signed(key, {"alg": "RS256", "crit": []}, payload),
        "b64 false": signed(key, {"alg": "RS256", "b64": False}, payload),
        "jwk of the attacker": signed(world.mailbox.key, {"alg": "RS256", "jwk": {"kty": "RSA"}}, payload),
        "another key": signed(world.mailbox.key, right, payload),
        "claim twice": signed(key, right, b'{"a":1,"a":2}'),
        "payload no object": signed(key, right, b"[1]"),
        "payload no JSON": signed(key, right, b"{a}"),
        "payload with more behind": signed(key, right, b"{}{}"),
        "payload not UTF-8": signed(key, right, b'{"a":"\xff"}'),
        "payload too deep": signed(key, right, b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"),
        "payload changed": f"{head}.{b64({'a': 2})}.{mac}",
        "padding": f"{head}.{body}.{mac}==",
        "padded payload": ".".join([head, body + "=" * (-len(body) % 4 or 4), mac]),
        "standard alphabet": f"{head}.{body}." + mac.replace("-", "+").replace("_", "/") + "+",
        "loose last bits": f"{head}.{body}.{mac[:-1]}{last[last.index(mac[-1]) ^ 1]}",
        "line end": token + "\n",
        "space inside": f"{head}.{body[:2]} {body[2:]}.{mac}",
        "two parts": f"{head}.{body}",
        "four parts": token + ".x",
        "no signature": f"{head}.{body}.",
        "short signature": f"{head}.{body}.{mac[:-8]}",
        "nothing": "",
        "dots": "..",
        "above 256 kB": signed(key, right, {"a": "x" * 300000}),
        "header above 64 kB": signed(key, {"alg": "RS256", "x": "x" * 70000}, payload),
    }


def test_jwt_attacks(world, tmp_path):
    (tmp_path / "t").write_text(signed(world.sender.key, {"alg": "RS256"}, {"a": 1}))
    assert json.loads(tool("jwt-verify", tmp_path / "t", world.cert)) == {"a": 1}
    for name, token in jwt_attacks(world).items():
        (tmp_path / "t").write_text(token)
        done = run(TOOL, "jwt-verify", tmp_path / "t", world.cert)
        assert done.returncode == 1 and done.stderr.startswith(b"SEAL"), (name, done)


@pytest.mark.parametrize("x5c", [None, [], "x", [1], ["%%%"], [""], ["AAAA"], ["cert", "x"] * 6])
def test_jwt_leaf_refuses(world, tmp_path, x5c):
    header = {"alg": "RS256"} if x5c is None else {"alg": "RS256", "x5c": x5c}
    (tmp_path / "t").write_text(signed(world.sender.key, header, {"a": 1}))
    assert refusal("jwt-verify", tmp_path / "t").startswith("SEAL")


# Certificates

@pytest.mark.filterwarnings("ignore:SHA1 signatures")
def test_certificate_checks(world, tmp_path):
    names = [("C", "NO"), ("serial", "984661185"), ("CN", "x")]
    stranger = Party([("C", "NO"), ("CN", "Test Root CA")], ca=True)
    no_ca = Party([("CN", "no CA")], issuer=world.ca)
    dead_ca = Party([("CN", "Dead CA")], issuer=world.root, ca=True, start=-20, end=-10)
    both = ("digital_signature", "key_encipherment")
    cases = [  # name, certificate, use, words of the refusal or None
        ("good for signing", Party(names, world.ca, usage=both), "signs", None),
        ("good for receiving", Party(names, world.ca, usage=both), "receives", None),
        ("no usage extension", Party(names, world.ca, usage=None), "receives", None),
        ("3072 bits", Party(names, world.ca, usage=both, bits=3072), "signs", None),
        ("expired", Party(names, world.ca, start=-20, end=-10), "signs", "expired"),
        ("not yet valid", Party(names, world.ca, start=10), "signs", "not yet valid"),
        ("only receives", Party(names, world.ca, usage=("key_encipherment",)), "signs", "digitalSignature"),
        ("only signs", Party(names, world.ca, usage=("digital_signature",)), "receives", "keyEncipherment"),
        ("another root of the same name", Party(names, stranger), "signs", "certificate"),
        ("self-signed", Party(names), "signs", "self-signed"),
        ("issued by no CA", Party(names, no_ca), "signs", "CA|purpose|usage"),
        ("expired CA", Party(names, dead_ca), "signs", "expired"),
        ("1024 bits", Party(names, world.ca, bits=1024), "signs", "1024"),
        ("elliptic curve", Party(names, world.ca, bits=0), "signs", "not an RSA"),
        ("SHA-1", Party(names, world.ca, digest=hashes.SHA1()), "signs", "too weak|digest"),
    ]
    for name, party, use, reason in cases:
        chain = party.write(tmp_path, "x")[2]
        done = run(TOOL, "cert", chain, world.root_only, use)
        if reason is None:
            assert done.returncode == 0, (name, done)
        else:
            assert done.returncode == 1 and re.search(reason, done.stderr.decode()), (name, done)
            assert done.stderr.startswith(b"SEAL"), name
    good_cert = cases[0][1].write(tmp_path, "x")[1]  # alone: the issuing CA must come from the roots
    assert run(TOOL, "cert", good_cert, world.root_only, "signs").returncode == 1
    assert run(TOOL, "cert", good_cert, world.roots, "signs").returncode == 0


@pytest.mark.parametrize("names,number", [
    ([("orgid", "NTRNO-123456785")], "123456785"),
    ([("orgid", "123456785")], "123456785"),
    ([("orgid", "NTRNO-123456785"), ("serial", "984661185")], "123456785"),
    ([("serial", "984661185")], "984661185"),
    ([("orgid", "VATNO-123456785"), ("serial", "984661185")], "984661185"),
    ([("CN", "984661185 Postkasse")], "984661185"),
    ([("CN", "984661185")], "984661185"),
    ([("CN", "9846611850 x")], "none"),
    ([("CN", "Postkasse 984661185")], "none"),
    ([("serial", "98466118")], "none"),
    ([("serial", "9846611855")], "none"),
    ([("serial", "UN:NO-984661185")], "none"),
    ([("orgid", "NTRNO-12345678X")], "none"),
    ([("orgid", "NTRNO-123456785"), ("orgid", "NTRNO-984661185")], "none"),
    ([("O", "Kommunen - 123456785")], "none"),
])
def test_organisation_numbers(world, tmp_path, names, number):
    chain = Party(names, world.ca, key=world.sender.key).write(tmp_path, "x")[2]
    assert tool("cert", chain, world.root_only, "signs").decode().strip() == number
