# SPDX-License-Identifier: Apache-2.0
"""The reader executable on the corpus in tests/data/mail: each mail has its outcome beside it.

Expected outcomes name only what matters to their case: letter members, documents as [href, mime,
title], exact texts of documents, or kind and detail of the refusal.
"""

import base64
import email
import email.policy
import hashlib
import json
import os
import quopri
import resource
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from files import png  # noqa: E402

BUILD = os.environ.get("BREVDUE_BUILD", os.path.join(ROOT, "build"))
READER = os.environ.get("BREVDUE_READER", os.path.join(BUILD, "reader", "brevdue-reader"))
DATA = os.path.join(ROOT, "tests", "data", "mail")
NAMES = sorted(name[:-4] for name in os.listdir(DATA) if name.endswith(".eml"))
FLAGS = ("is_reply", "private_mark", "wants_delivery", "wants_open_receipt")


def expected(name):
    with open(os.path.join(DATA, name + ".json"), encoding="utf-8") as file:
        return json.load(file)


def run(path, *options, mode="--file"):
    done = subprocess.run([READER, mode, str(path), *options], capture_output=True, timeout=60)
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    assert done.stderr == b""
    answer = json.loads(done.stdout)
    if mode == "--file":
        assert (done.returncode == 1) == ("refusal" in answer)
    return answer


def read(tmp_path, mail, **options):
    path = tmp_path / "mail.eml"
    path.write_bytes(mail)
    return run(path, json.dumps(options))


def leaves(path):
    """Type, decoded bytes of every leaf as Python's parser sees them."""
    with open(path, "rb") as file:
        message = email.message_from_bytes(file.read(), policy=email.policy.compat32)
    return [(part.get_content_type(), part.get_payload(decode=True))
            for part in message.walk() if not part.is_multipart()]


@pytest.mark.parametrize("name", NAMES)
def test_outcome(name):
    want = expected(name)
    got = run(os.path.join(DATA, name + ".eml"), json.dumps(want.get("options", {})))
    if "refusal" in want:
        assert "refusal" in got, got
        assert {k: got["refusal"][k] for k in ("kind", "detail")} == want["refusal"]
        assert len(got["refusal"]["detail"]) < 96
        return
    assert "refusal" not in got, got["refusal"]
    rows = [[d["href"], d["mime"], d["title"]] for d in got["documents"]]
    assert rows == want["letter"].pop("documents")
    for flag in FLAGS:
        assert got[flag] == want["letter"].pop(flag, False), flag
    assert got["options"] == want["letter"].pop("options", [])
    for member, value in want["letter"].items():
        assert got.get(member) == value, member
    for href, text in want.get("texts", {}).items():
        document = next(d for d in got["documents"] if d["href"] == href)
        data = text.encode("utf-8")
        assert (document["bytes"], document["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("name", [n for n in NAMES if "letter" in expected(n)])
def test_parts_equal_those_of_pythons_parser(name):
    path = os.path.join(DATA, name + ".eml")
    ours = [(p["type"], p["sha256"]) for p in run(path, mode="--parts")]
    theirs = [(kind, hashlib.sha256(data).hexdigest()) for kind, data in leaves(path)]
    assert ours == theirs


@pytest.mark.parametrize("name", [n for n in NAMES if "letter" in expected(n)])
def test_binary_documents_arrive_unchanged(name):
    path = os.path.join(DATA, name + ".eml")
    want = expected(name)
    got = run(path, json.dumps(want.get("options", {})))
    digests = {hashlib.sha256(data).hexdigest() for kind, data in leaves(path)}
    for document in got["documents"]:
        if not document["mime"].startswith("text/"):
            assert document["sha256"] in digests


def multipart(boundary, text, encoding, received):
    head = f"Received: from {received}\r\nSubject: Vedtak\r\nMessage-ID: <1@agency.example>\r\n"
    if encoding == "base64":
        body = base64.encodebytes(text.encode()).decode().replace("\n", "\r\n")
    elif encoding == "quoted-printable":
        body = quopri.encodestring(text.encode()).decode()
    else:
        body = text
    return (f"{head}Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
            f"{body}\r\n--{boundary}--\r\n").encode()


def test_digest_is_the_same_for_the_same_mail_in_other_clothes(tmp_path):
    text = "Vi viser til s\u00f8knaden.\r\nHilsen\r\n"
    digests = {
        read(tmp_path, multipart(boundary, text, encoding, received))["digest"]
        for boundary, encoding, received in (
            ("aaa", "8bit", "a"), ("bbb", "8bit", "b"), ("aaa", "base64", "a"),
            ("ccc", "quoted-printable", "c"))
    }
    # encodebytes ends in a line end, which is not part of the text
    assert len(digests) == 1
    lf = read(tmp_path, multipart("aaa", text, "8bit", "a").replace(b"\r\n", b"\n"))["digest"]
    assert digests == {lf}
    other = read(tmp_path, multipart("aaa", text + "!", "8bit", "a"))["digest"]
    assert other not in digests


HEAD = b"Subject: s\r\nFrom: a@agency.example\r\nMIME-Version: 1.0\r\n"
MB = 1 << 20
HOSTILE = {
    "a million parts": (HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
                        + b"--b\r\n\r\n" * 1000000 + b"--b--\r\n", "CONTENT"),
    "deep nesting": (HEAD + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d.\r\n\r\n--b%d.\r\n" % (i, i)
        for i in range(20000)), "CONTENT"),
    "huge header": (HEAD + b"X: " + b"x" * MB + b"\r\n\r\nHei\r\n", "CONTENT"),
    "many headers": (HEAD + b"X: y\r\n" * 200000 + b"\r\nHei\r\n", "CONTENT"),
    "many parameters": (HEAD + b"Content-Type: text/plain" + b"; a=b" * 6000 + b"\r\n\r\nHei\r\n",
                        "CONTENT"),
    "many sections": (HEAD + b"Content-Disposition: attachment"
                      + b"".join(b"; filename*%d=a" % i for i in range(1000)) + b"\r\n\r\nHei\r\n",
                      "CONTENT"),
    "nested groups in From": (b"Subject: s\r\nFrom: " + b"a:" * 15000 + b"\r\n\r\nHei\r\n", "CONTENT"),
    "nested comments in From": (b"Subject: s\r\nFrom: " + b"(" * 30000 + b"\r\n\r\nHei\r\n", "CONTENT"),
    "encoded words": (b"Subject: " + b"=?utf-8?Q?=C3=A5?= " * 1500 + b"\r\n\r\nHei\r\n", None),
    "empty encoded words": (b"Subject: s " + b"=??=" * 8000 + b"\r\n\r\nHei\r\n", None),
    "a megabyte of tags": (HEAD + b"Content-Type: text/html\r\n\r\n" + b"<" * MB + b"x\r\n", None),
    "unclosed comments": (HEAD + b"Content-Type: text/html\r\n\r\nx" + b"<!--" * (MB // 4) + b"\r\n", None),
    "unclosed quotes": (HEAD + b"Content-Type: text/html\r\n\r\nx" + b"<a b=\"" * (MB // 6) + b"\r\n", None),
    "entities": (HEAD + b"Content-Type: text/html\r\n\r\n" + b"&amp;" * (MB // 5) + b"\r\n", None),
    "metas": (HEAD + b"Content-Type: text/html\r\n\r\nx" + b"<meta charset>" * (MB // 14) + b"\r\n", None),
    "empty lines": (HEAD + b"\r\n" + b"\r\n" * (MB // 2) + b"x", None),
    "flowed lines": (HEAD + b"Content-Type: text/plain; format=flowed\r\n\r\n" + b"> \r\n" * (MB // 4)
                     + b"x", None),
    "quote signs": (HEAD + b"Content-Type: text/plain; format=flowed\r\n\r\n" + b">" * MB + b"\r\nx", None),
    "UTF-7": (HEAD + b"Content-Type: text/plain; charset=utf-7\r\n\r\n" + b"+AOU-" * (MB // 5) + b"x\r\n",
              None),
    "soft breaks": (HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=\r\n" * (MB // 3)
                    + b"x\r\n", None),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_input_is_answered_within_bounds(tmp_path, name):
    """A bound in CPU time and memory, far above what is needed and far below what harm takes."""
    mail, kind = HOSTILE[name]
    path = tmp_path / "mail.eml"
    path.write_bytes(mail)

    def limits():
        resource.setrlimit(resource.RLIMIT_CPU, (10, 10))

    done = subprocess.run([READER, "--file", str(path)], capture_output=True, preexec_fn=limits,
                          timeout=120)
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    answer = json.loads(done.stdout)
    if kind is None:
        assert "refusal" not in answer, answer["refusal"]
    else:
        assert answer["refusal"]["kind"] == kind


def test_a_picture_shown_ten_thousand_times_is_too_big(tmp_path):
    picture = base64.encodebytes(png(200, 200)).replace(b"\n", b"\r\n")
    mail = (HEAD + b"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html"
            b"\r\n\r\n<p>x" + b'<img src="cid:a@b">' * 10000 + b"\r\n--b\r\nContent-Type: image/png\r\n"
            b"Content-ID: <a@b>\r\nContent-Transfer-Encoding: base64\r\n\r\n" + picture + b"--b--\r\n")
    assert read(tmp_path, mail, size_limit=1000000)["refusal"]["kind"] == "TOO_BIG"


def test_wrong_options_are_our_error(tmp_path):
    for options in ({"nonsense": 1}, {"main": "both"}, {"formats": 3}, {"attachments": -1}):
        assert read(tmp_path, HEAD + b"\r\nHei\r\n", **options)["refusal"]["kind"] == "INTERNAL"


def test_more_attachments_than_allowed(tmp_path):
    part = b"--b\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nHei\r\n"
    mail = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nBrev\r\n" + part * 201
    answer = read(tmp_path, mail + b"--b--\r\n")
    assert answer["refusal"]["kind"] == "TOO_BIG"
    mail = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nBrev\r\n" + part * 200
    answer = read(tmp_path, mail + b"--b--\r\n")
    assert len(answer["documents"]) == 201
    assert len({d["title"] for d in answer["documents"]}) == 201
    assert len({d["href"].lower() for d in answer["documents"]}) == 201
