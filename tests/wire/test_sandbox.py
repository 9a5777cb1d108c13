# SPDX-License-Identifier: Apache-2.0
"""brevdue-sandbox itself: what it makes at start, its fault switches, its page, restarts. What it is
fed is made by tests/lib/dpi.py, without brevdue's own code."""

import concurrent.futures
import http.client
import json
import os
import signal
import stat
import subprocess
import time
import urllib.parse
import uuid

import pytest

import dpi
from sandbox_client import (AGENCY_CLIENT, KARI, KARI_BOX, Letter, fetch, fresh, look_up, receipt_id, refused)


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


def test_switches_as_curl_sends_them(sandbox):
    status, _, text = sandbox.call("POST", "/sandbox/faults", '{"fail":4}',
                                   {"Content-Type": "application/x-www-form-urlencoded"})
    assert status == 200 and json.loads(text)["fail"] == 4


@pytest.mark.parametrize("body", ['{"nothing":1}', '{"fail":"x"}', '{"fail":-2}', '{"fail_status":200}', "[]", "{"])
def test_bad_switches_change_nothing(sandbox, body):
    before = sandbox.json("/sandbox/faults")
    assert sandbox.call("POST", "/sandbox/faults", body)[0] == 400
    assert sandbox.json("/sandbox/faults") == before


# -- the page and the rest ----------------------------------------------------------------------


EMAIL = {"epostadresse": "a@b.example", "varslingstekst": "x", "repetisjoner": [0]}
EVIL = '<script>alert("x")</script>&\'"'


def test_pages_escape_what_is_foreign(sandbox):
    letter = Letter(sandbox, title=EVIL, ikkesensitivtittel=EVIL, documents=[
        ("brev.html", "text/html", EVIL, b"<script>document.title='x'</script><p>Hei</p>"),
        ("vedlegg-01.zip", "application/octet-stream", "Arkiv", b"PK")],
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
    assert headers["Content-Disposition"] == 'attachment; filename="vedlegg-01.zip"'


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


def test_a_crash_between_letter_and_receipt_is_made_good(running, tmp_path):
    points = tmp_path / "points"
    points.write_text("sandbox.letter-kept kill\n")
    os.environ["BREVDUE_FAILPOINT"] = str(points)
    try:
        sandbox = fresh(running, tmp_path / "d")
    finally:
        del os.environ["BREVDUE_FAILPOINT"]
    letter = Letter(sandbox).make()
    try:
        letter.post()
    except ConnectionError:
        pass
    else:
        sandbox.stop()
        pytest.skip("built without --enable-failpoints")
    assert sandbox.process.wait(20) == -signal.SIGKILL
    sandbox.start()
    assert [r["type"] for r in sandbox.receipts(letter.id)] == ["leveringskvittering"]
    refused(letter.post(), 409, "already exists")
    sandbox.stop()
    sandbox.start()
    assert len(sandbox.receipts(letter.id)) == 1
    assert sandbox.stop() == 0
