# SPDX-License-Identifier: Apache-2.0
"""The built brevdue-transport over its LMTP socket, against a scripted access point: nothing twice,
nothing lost, nothing believed that is not sealed."""

import json
import os
import pathlib
import pwd
import re
import secrets
import subprocess
import threading
import time

import pytest

from accesspoint import Answer
from stack import wait_for
from transport import (AGENCY, FINGERPRINT, MAILBOX, OTHER_PROVIDER, PERSON, PROVIDER, TITLE, Lmtp,
                       Transport)

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BREVDUE_BUILD", ROOT / "build"))

pytestmark = pytest.mark.skipif(not (BUILD / "brevdue-transport").exists(), reason="not built")
HAS_FAILPOINTS = "BD_FAILPOINTS 1" in (BUILD / "config.h").read_text() if (BUILD / "config.h").exists() else False
needs_failpoints = pytest.mark.skipif(not HAS_FAILPOINTS, reason="built without --enable-failpoints")


@pytest.fixture(scope="module")
def shared():
    with Transport(BUILD) as t:
        yield t
        assert t.point.errors == []


@pytest.fixture
def t(shared):
    """The daemon, with an access point that has forgotten its instructions."""
    p = shared.point
    p.answers.clear()
    p.query_answers.clear()
    p.token_answers.clear()
    p.posts.clear()
    p.queries.clear()
    p.final = "SENDT"
    return shared


@pytest.fixture
def own():
    """A daemon of its own, for tests that kill it or change its configuration."""
    made = []

    def make(**options):
        made.append(Transport(BUILD, **options))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.destroy()


def letters_of(t, letter_id):
    """What the access point took of a letter: one list per instance id in its records."""
    ids = {e["instance"] for e in t.events(letter_id) if "instance" in e}
    return {i: t.point.letters.get(i, []) for i in ids}


def questions_about(t, letter_id):
    """How often the access point was asked for the letter's status."""
    ids = letters_of(t, letter_id)
    return sum(any(i in path for i in ids) for path in t.point.queries)


def sent_once(t, letter_id):
    taken = [letter for got in letters_of(t, letter_id).values() for letter in got]
    assert len(taken) == 1, f"taken {len(taken)} times"
    return taken[0]


# -- the way of a letter -------------------------------------------------------------------------


def test_letter_is_sent_recorded_and_confirmed(t):
    lid = t.letter_id()
    package = secrets.token_bytes(3000)
    code, text = t.deliver(lid, t.message(lid, package))
    assert code == 250 and text.startswith("2.0.0 "), text
    taken = sent_once(t, lid)
    assert taken["package"] == package
    assert taken["path"] == "/dpi/messages/out?kanal=gw1"
    head = taken["sbd"]["standardBusinessDocument"]["standardBusinessDocumentHeader"]
    assert head["receiver"][0]["identifier"]["value"] == f"0192:{PROVIDER}"
    assert taken["sbd"]["standardBusinessDocument"]["digital"]["mottaker"] == {"postkasseadresse": MAILBOX}
    t.wait_event(lid, "status")
    assert t.kinds(lid) == ["queued", "intent", "sent", "status"]
    (line,) = t.log_lines(f"letter id={lid}", "result=")
    for field in ("queue=QUEUE123", "front=FRONT123", f"provider={PROVIDER}", "result=sent", "dsn=2.0.0",
                  "generation=0", f"instance={head['documentIdentification']['instanceIdentifier']}",
                  f"conversation={head['businessScope']['scope'][0]['instanceIdentifier']}", "ms="):
        assert field in line, line


def test_announcements(t):
    with t.client() as c:
        code, text = c.say("LHLO x")
        assert code == 250
        assert {line.split()[0] for line in text.splitlines()[1:]} == {
            "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN"}
        assert c.say("QUIT")[0] == 221


def test_same_message_again_is_answered_and_not_sent(t):
    lid = t.letter_id()
    message = t.message(lid)
    assert t.deliver(lid, message)[0] == 250
    assert t.deliver(lid, message)[0] == 250
    sent_once(t, lid)
    assert "again" in t.kinds(lid) and len(t.point.posts) == 1


def test_copy_sealed_anew_is_recognised(t):
    lid = t.letter_id()
    assert t.deliver(lid, t.message(lid))[0] == 250
    code, text = t.deliver(lid, t.message(lid))
    assert code == 250 and "copy" in text
    sent_once(t, lid)
    assert "copy" in t.kinds(lid)
    assert t.log_lines(f"letter id={lid}", "result=copy")


def test_same_recipient_twice_is_delivered_once_and_answered_twice(t):
    lid = t.letter_id()
    with t.client() as c:
        replies = c.send("x@report.brevdue.invalid", [t.address(lid)] * 2, t.message(lid))
    assert [r[0] for r in replies] == [250, 250]
    assert len(t.point.posts) == 1


def test_mixed_recipients_each_get_their_reply(t):
    lid, other = t.letter_id(), t.letter_id()
    with t.client() as c:
        assert [r[0] for r in c.begin("x@report.brevdue.invalid",
                                      [t.address(other), "x@example.no", t.address(lid)])] == [250, 550, 250]
        c.data(t.message(lid))
        assert [c.reply()[0], c.reply()[0]] == [451, 250]
        assert c.say("NOOP")[0] == 250
    sent_once(t, lid)


@pytest.mark.parametrize("address", [
    "kari@example.no", f"{'a' * 32}@{PROVIDER}.print.brevdue.invalid", f"{'a' * 32}@digital.brevdue.invalid",
    f"{'a' * 31}@{PROVIDER}.digital.brevdue.invalid", f"{PERSON}@innbygger.example.no"])
def test_other_addresses_are_refused(t, address):
    with t.client() as c:
        (reply,) = c.begin("x@report.brevdue.invalid", [address])
    assert reply[0] == 550 and reply[1].startswith("5.1.2")


def test_parallel_sessions_with_copies_send_once(t):
    lid = t.letter_id()
    gate = threading.Event()
    t.point.answers.append(Answer(201, wait=gate))
    messages = [t.message(lid) for _ in range(6)]
    replies = []
    threads = [threading.Thread(target=lambda m=m: replies.append(t.deliver(lid, m))) for m in messages]
    for thread in threads:
        thread.start()
    t.point.wait_posts(1)
    gate.set()
    for thread in threads:
        thread.join(60)
    assert [r[0] for r in replies] == [250] * 6
    sent_once(t, lid)
    assert len(t.point.posts) == 1


def test_big_message_and_size_limit(t):
    lid = t.letter_id()
    package = secrets.token_bytes(8_000_000)
    assert t.deliver(lid, t.message(lid, package))[0] == 250
    assert sent_once(t, lid)["package"] == package
    with t.client() as c:
        assert c.say("LHLO x")[0] == 250
        assert c.say("MAIL FROM:<x@y> SIZE=999999999")[0] == 552


# -- what is not sealed by us --------------------------------------------------------------------


def refused(t, lid, message, code, provider=PROVIDER):
    before = len(t.point.posts), len(t.point.grants)
    reply = t.deliver(lid, message, provider)
    assert reply[0] == code[0] and reply[1].startswith(code[1]), reply
    assert (len(t.point.posts), len(t.point.grants)) == before
    assert t.ask("letter", id=lid)[-1].get("error"), "something was recorded"
    assert t.log_lines("error:", f"rcpt={lid}"), "no alarm"


FORGED, DAMAGED = (451, "4.7.0"), (554, "5.6.0")


def test_foreign_key_is_refused(t):
    lid, package = t.letter_id(), b"p" * 100
    refused(t, lid, t.seal(t.record(lid, package), package, key=secrets.token_bytes(32)), FORGED)


def test_unknown_key_id_is_refused(t):
    lid, package = t.letter_id(), b"p" * 100
    refused(t, lid, t.seal(t.record(lid, package), package, key_id=b"2027-01"), FORGED)


def test_unauthenticated_encryption_is_refused(t):
    lid, package = t.letter_id(), b"p" * 100
    refused(t, lid, t.seal(t.record(lid, package), package, cipher="-aes-256-cbc"), FORGED)


def test_plain_mail_is_refused(t):
    refused(t, t.letter_id(), b"Subject: x\r\n\r\nhello\r\n", FORGED)


def test_letter_of_another_address_is_refused(t):
    lid = t.letter_id()
    refused(t, t.letter_id(), t.message(lid), FORGED)


def test_letter_to_another_provider_is_refused(t):
    lid = t.letter_id()
    refused(t, lid, t.message(lid), FORGED, provider=OTHER_PROVIDER)


def test_swapped_package_is_damage(t):
    lid, package = t.letter_id(), b"p" * 100
    refused(t, lid, t.seal(t.record(lid, package), b"q" * 100), DAMAGED)


def test_flipped_bits_in_the_record_are_noticed(t):
    lid = t.letter_id()
    message = bytearray(t.message(lid))
    start = message.index(b"base64\r\n\r\n") + 10
    for at in range(start + 40, start + 1200, 97):
        broken = bytearray(message)
        broken[at] = ord("A") if broken[at] != ord("A") else ord("B")
        if chr(message[at]) in "\r\n":
            continue
        assert t.deliver(lid, bytes(broken))[0] == 451
    assert t.point.posts == []


# -- answers of the access point -----------------------------------------------------------------


def test_token_refused_once_is_fetched_anew(t):
    lid = t.letter_id()
    t.point.answers.append(Answer(401))
    grants = len(t.point.grants)
    assert t.deliver(lid, t.message(lid))[0] == 250
    taken = sent_once(t, lid)
    assert len(t.point.posts) == 2 and len(set(t.point.posts)) == 1
    assert len(t.point.grants) >= grants + 1 and taken["token"] == f"token-{len(t.point.grants)}"


def test_token_refused_twice_is_an_alarm(t):
    lid = t.letter_id()
    t.point.answers += [Answer(401), Answer(401)]
    code, text = t.deliver(lid, t.message(lid))
    assert code == 451 and text.startswith("4.3.5")
    assert t.state(lid) == "open" and t.log_lines("error:", lid)


@pytest.mark.parametrize("answer", [
    Answer(409, "409002: Document with ID x already exists"),
    Answer(400, 'ERROR: duplicate key value violates unique constraint "unique_message_uuid"')],
    ids=["409", "old 400"])
def test_duplicate_at_first_attempt_is_success_with_a_warning(t, answer):
    lid = t.letter_id()
    t.point.answers.append(answer)
    assert t.deliver(lid, t.message(lid))[0] == 250
    assert t.state(lid) == "sent" and t.point.queries
    assert t.log_lines("warn:", lid, "first attempt") and t.log_lines(lid, "result=sent-duplicate")


def test_duplicate_that_the_access_point_gave_up(t):
    lid = t.letter_id()
    t.point.answers.append(Answer(409, "409002: x"))
    t.point.query_answers.append(Answer(200))
    t.point.query_answers[0].body = lambda: b'[{"status":"OPPRETTET"},{"status":"FEILET"}]'
    assert t.deliver(lid, t.message(lid))[0] == 250
    assert t.state(lid) == "failed"


@pytest.mark.parametrize("answer", [Answer(400, "no such mailbox: kari@example.no"), Answer(403), Answer(413),
                                    Answer(422)], ids=lambda a: str(a.status))
def test_letter_that_can_never_go_is_recorded_and_answered_250(t, answer):
    lid = t.letter_id()
    t.point.answers.append(answer)
    message = t.message(lid)
    assert t.deliver(lid, message)[0] == 250
    assert t.state(lid) == "failed"
    assert t.deliver(lid, message)[0] == 250  # the same message is not tried again
    assert len(t.point.posts) == 1
    assert not t.log_lines("kari@example.no")
    # sent anew by the clerk it is a new letter, with new ids
    assert t.deliver(lid, t.message(lid))[0] == 250
    assert len(set(t.point.posts)) == 2
    sent_once(t, lid)


def test_damaged_upload_is_sent_again_with_the_same_id(t):
    lid = t.letter_id()
    t.point.answers.append(Answer(400, "Upload was not accepted, SHA-256 digest of dokumentpakke was x"))
    message = t.message(lid)
    code, text = t.deliver(lid, message)
    assert code == 451 and text.startswith("4.4.1")
    assert questions_about(t, lid) == 0
    assert t.deliver(lid, message)[0] == 250
    assert len(t.point.posts) == 2 and len(set(t.point.posts)) == 1
    sent_once(t, lid)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_server_error_asks_before_sending_again(t, status):
    lid = t.letter_id()
    t.point.answers.append(Answer(status))
    message = t.message(lid)
    code, text = t.deliver(lid, message)
    assert code == 451 and text.startswith("4.4.1") and t.state(lid) == "unsure"
    assert questions_about(t, lid) == 0
    assert t.deliver(lid, message)[0] == 250
    assert questions_about(t, lid) >= 1 and len(set(t.point.posts)) == 1
    sent_once(t, lid)


def test_cut_after_the_letter_was_taken(t):
    """The hardest case: it is there, and nobody told us."""
    lid = t.letter_id()
    t.point.answers.append(Answer(cut=True, keep=True))
    message = t.message(lid)
    assert t.deliver(lid, message)[0] == 451
    assert t.kinds(lid) == ["queued", "intent", "unsure"]
    assert t.deliver(lid, message)[0] == 250
    assert len(t.point.posts) == 1, "posted again though it was there"
    sent_once(t, lid)
    assert t.log_lines(lid, "result=sent-before")


def test_cut_before_the_letter_was_taken(t):
    lid = t.letter_id()
    t.point.answers.append(Answer(cut=True, keep=False))
    message = t.message(lid)
    assert t.deliver(lid, message)[0] == 451
    assert t.deliver(lid, message)[0] == 250
    assert len(t.point.posts) == 2 and len(set(t.point.posts)) == 1
    sent_once(t, lid)


def test_cut_and_then_a_copy_uses_the_same_ids(t):
    lid = t.letter_id()
    t.point.answers.append(Answer(cut=True, keep=True))
    assert t.deliver(lid, t.message(lid))[0] == 451
    assert t.deliver(lid, t.message(lid))[0] == 250
    sent_once(t, lid)


def test_question_that_fails_keeps_the_letter_in_doubt(t):
    lid = t.letter_id()
    t.point.answers.append(Answer(cut=True, keep=True))
    message = t.message(lid)
    assert t.deliver(lid, message)[0] == 451
    t.point.query_answers.append(Answer(500))
    assert t.deliver(lid, message)[0] == 451
    assert t.state(lid) == "unsure" and len(t.point.posts) == 1
    assert t.deliver(lid, message)[0] == 250
    sent_once(t, lid)


def test_slow_access_point_is_in_doubt(own):
    t = own(more="provider-timeout = 1500ms")
    lid = t.letter_id()
    gate = threading.Event()
    t.point.answers.append(Answer(201, wait=gate))
    message = t.message(lid)
    began = time.monotonic()
    code, text = t.deliver(lid, message)
    assert code == 451 and text.startswith("4.4.1") and time.monotonic() - began < 5
    assert t.state(lid) == "unsure"
    gate.set()
    assert t.deliver(lid, message)[0] == 250
    sent_once(t, lid)


def test_retry_after_pauses_without_a_call(own):
    t = own()
    lid, other = t.letter_id(), t.letter_id()
    t.point.answers.append(Answer(429, headers={"Retry-After": "2"}))
    message = t.message(lid)
    assert t.deliver(lid, message)[0] == 451
    calls = len(t.point.posts), len(t.point.queries), len(t.point.grants)
    for one in (lid, other):
        code, text = t.deliver(one, t.message(one) if one is other else message)
        assert code == 451 and text.startswith("4.4.1")
    assert (len(t.point.posts), len(t.point.queries), len(t.point.grants)) == calls
    wait_for("the pause to end", lambda: t.deliver(lid, message)[0] == 250, 10)
    sent_once(t, lid)


def test_circuit_breaker_is_per_provider(own):
    t = own()
    t.point.answers += [Answer(500)] * 5
    for _ in range(5):
        lid = t.letter_id()
        assert t.deliver(lid, t.message(lid))[0] == 451
    lid = t.letter_id()
    assert t.deliver(lid, t.message(lid))[0] == 451
    assert len(t.point.posts) == 5, "called although the breaker is open"
    lid = t.letter_id()
    addressee = {"national_id": PERSON, "mailbox": MAILBOX, "provider": OTHER_PROVIDER,
                 "certificate": FINGERPRINT}
    assert t.deliver(lid, t.message(lid, addressees=[addressee]), OTHER_PROVIDER)[0] == 250


def test_access_point_down_is_certainly_not_sent(own):
    t = own()
    lid = t.letter_id()
    message = t.message(lid)
    t.point.close()
    code, text = t.deliver(lid, message)
    assert code == 451 and text.startswith("4.4.1")
    assert t.kinds(lid) == ["queued", "intent", "later"]
    assert t.events(lid)[-1]["why"] == "AWAY"


def test_given_up_later_ends_the_letter(t):
    lid = t.letter_id()
    t.point.final = "FEILET"
    assert t.deliver(lid, t.message(lid))[0] == 250
    wait_for("FEILET", lambda: t.state(lid) == "failed", 20)
    t.point.final = "SENDT"
    assert t.deliver(lid, t.message(lid))[0] == 250
    instances = letters_of(t, lid)
    assert sorted(len(got) for got in instances.values()) == [1, 1], "a resend is a new letter"


# -- token service -------------------------------------------------------------------------------


def test_token_is_fetched_once_and_kept(own):
    t = own()
    for _ in range(3):
        lid = t.letter_id()
        assert t.deliver(lid, t.message(lid))[0] == 250
    assert len(t.point.grants) == 1


def test_token_service_away(own):
    t = own()
    t.point.token_answers.append(Answer(503))
    lid = t.letter_id()
    message = t.message(lid)
    code, text = t.deliver(lid, message)
    assert code == 451 and text.startswith("4.4.1") and t.state(lid) == "open"
    assert t.deliver(lid, message)[0] == 250


# -- certificates and the second look ------------------------------------------------------------


def test_package_signed_by_an_unknown_certificate_waits_with_an_alarm(t):
    lid = t.letter_id()
    code, text = t.deliver(lid, t.message(lid, signer="cd" * 32))
    assert code == 451 and text.startswith("4.3.5")
    assert t.point.posts == [] and t.kinds(lid) == ["queued", "intent", "later"]
    assert t.log_lines("error:", lid, "certificate")


SAME = {"route": "digital", "provider": PROVIDER, "mailbox": MAILBOX, "certificate": FINGERPRINT}


def test_old_letter_is_looked_up_again(t):
    lid = t.letter_id()
    t.lookup.answer = SAME
    t.lookup.questions.clear()
    assert t.deliver(lid, t.message(lid, sealed_at=int(time.time()) - 3600))[0] == 250
    assert t.lookup.questions == [f"decision {AGENCY}/important:{PERSON}"]
    sent_once(t, lid)


@pytest.mark.parametrize("answer", [{"route": "print"}, {**SAME, "provider": OTHER_PROVIDER},
                                    {**SAME, "certificate": "00" * 32}, {**SAME, "mailbox": "other#1"}],
                         ids=["route", "provider", "certificate", "mailbox"])
def test_changed_decision_stops_an_old_letter(t, answer):
    lid = t.letter_id()
    t.lookup.answer = answer
    assert t.deliver(lid, t.message(lid, sealed_at=int(time.time()) - 3600))[0] == 250
    assert t.point.posts == [] and t.state(lid) == "failed"
    assert t.events(lid)[-1]["reason"] == "send again"


def test_lookup_away_holds_an_old_letter(t):
    lid = t.letter_id()
    t.lookup.answer = None
    message = t.message(lid, sealed_at=int(time.time()) - 3600)
    code, text = t.deliver(lid, message)
    assert code == 451 and text.startswith("4.4.3") and t.point.posts == []
    t.lookup.answer = SAME
    assert t.deliver(lid, message)[0] == 250


# -- Postfix's own notices -----------------------------------------------------------------------


def test_bounce_and_delay_notices_are_recorded(t):
    lid = t.letter_id()
    t.point.answers.append(Answer(429))
    assert t.deliver(lid, t.message(lid))[0] == 451
    assert t.notice(lid, "delayed", "4.4.1")[0] == 250
    assert t.state(lid) == "open"
    assert t.notice(lid, "failed", "5.4.7")[0] == 250
    assert t.state(lid) == "failed"
    assert t.events(lid)[-1] | {"time": ""} == {"kind": "bounce", "gen": 0, "action": "failed",
                                                "dsn": "5.4.7", "time": ""}


def test_bounce_in_doubt_keeps_the_ids(t):
    lid = t.letter_id()
    t.point.answers.append(Answer(cut=True, keep=True))
    assert t.deliver(lid, t.message(lid))[0] == 451
    assert t.notice(lid, "failed", "5.4.7")[0] == 250
    assert t.deliver(lid, t.message(lid))[0] == 250
    sent_once(t, lid)


def test_bounce_of_a_letter_never_seen_is_recorded(t):
    """The transport was away for a queue lifetime, and the client has had its 250 long ago."""
    lid = t.letter_id()
    assert t.notice(lid, "failed", "5.4.7")[0] == 250
    assert t.notice(lid, "failed", "5.4.7")[0] == 250
    assert t.state(lid) == "failed"
    assert t.events(lid)[0] | {"time": ""} == {"kind": "bounce", "gen": 0, "action": "failed",
                                               "dsn": "5.4.7", "time": ""}
    shown = subprocess.run([BUILD / "brevdue", "-c", t.conf, "letters", "failed"],
                           capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in shown.splitlines() if lid in line]
    assert line.split()[-2:] == ["-", "-"]  # nobody knows whose it was
    (line,) = t.log_lines(": error: ", lid)
    assert "dsn=5.4.7" in line and "never came" in line


def test_letter_that_comes_after_its_bounce_is_sent(t):
    lid = t.letter_id()
    assert t.notice(lid, "failed", "5.4.7")[0] == 250
    message = t.message(lid)
    assert t.deliver(lid, message)[0] == 250
    assert t.deliver(lid, message)[0] == 250
    sent_once(t, lid)
    t.wait_event(lid, "status")
    assert t.kinds(lid)[:4] == ["bounce", "queued", "intent", "sent"]
    assert [e["gen"] for e in t.events(lid) if e["kind"] == "queued"] == [1]
    assert t.state(lid) == "sent"


def test_delay_of_a_letter_never_seen_leaves_no_record(t):
    """Nothing has ended: no record is made of what may still come."""
    lid = t.letter_id()
    assert t.notice(lid, "delayed", "4.4.1")[0] == 250
    with t.client() as c:
        assert c.send("", [f"{lid}@report.brevdue.invalid"], b"Subject: x\r\n\r\nfailed\r\n")[0][0] == 250
    assert "error" in t.ask("letter", id=lid)[-1]


def test_report_address_takes_notices_only(t):
    with t.client() as c:
        (reply,) = c.begin("clerk@eksempel.example", [f"{t.letter_id()}@report.brevdue.invalid"])
    assert reply[0] == 550


def test_rubbish_for_the_report_address_ends_nothing(t):
    lid = t.letter_id()
    t.point.answers.append(Answer(429))
    assert t.deliver(lid, t.message(lid))[0] == 451
    with t.client() as c:
        assert c.send("", [f"{lid}@report.brevdue.invalid"], b"Subject: x\r\n\r\nfailed\r\n")[0][0] == 250
    assert t.state(lid) == "open"


# -- sets ----------------------------------------------------------------------------------------


def test_incomplete_set_is_told_once(own):
    t = own(more="set-timeout = 1s")
    short, whole = secrets.token_hex(8), secrets.token_hex(8)
    letters = [t.letter_id() for _ in range(5)]
    for index, lid in enumerate(letters[:2], 1):
        assert t.deliver(lid, t.message(lid, mail_id=whole, index=index, count=2))[0] == 250
    for index, lid in ((1, letters[2]), (3, letters[3])):
        assert t.deliver(lid, t.message(lid, mail_id=short, index=index, count=3))[0] == 250
    wait_for("an alarm", lambda: t.log_lines(": error: mail id="))
    (line,) = t.log_lines(": error: mail id=")
    assert f"id={short}: 2 of 3 letters arrived" in line

    # a late copy opens neither set again, and a restart repeats nothing
    assert t.deliver(letters[0], t.message(letters[0], mail_id=whole, index=1, count=2))[0] == 250
    assert t.deliver(letters[2], t.message(letters[2], mail_id=short, index=1, count=3))[0] == 250
    t.stop()
    t.start()
    other, lone = secrets.token_hex(8), t.letter_id()
    assert t.deliver(lone, t.message(lone, mail_id=other, index=2, count=2))[0] == 250
    wait_for("the next alarm", lambda: t.log_lines(f"id={other}: 1 of 2 letters arrived"))
    assert len(t.log_lines(f"mail id={short}")) == 1 and not t.log_lines(f"mail id={whole}")

    def listed():
        return subprocess.run([BUILD / "brevdue", "-c", t.conf, "letters", "incomplete"], check=True,
                              capture_output=True, text=True).stdout

    assert sorted(line.split("  ")[:2] for line in listed().splitlines()) == sorted(
        [[f"mail {short}", "2 of 3 letters"], [f"mail {other}", "1 of 2 letters"]])
    assert t.deliver(letters[4], t.message(letters[4], mail_id=short, index=2, count=3))[0] == 250
    assert short not in listed() and other in listed()
    wait_for("the good news", lambda: t.log_lines(f"mail id={short}: all 3 letters have arrived"))


def test_letter_known_from_another_mail_counts(own):
    """The client sends again, to one recipient more: the letters it had sent are copies."""
    t = own(more="set-timeout = 1s")
    first, second, lone = t.letter_id(), t.letter_id(), t.letter_id()
    mail, other = secrets.token_hex(8), secrets.token_hex(8)
    assert t.deliver(first, t.message(first))[0] == 250
    for index, lid in enumerate((first, second), 1):
        assert t.deliver(lid, t.message(lid, mail_id=mail, index=index, count=2))[0] == 250
    assert t.deliver(lone, t.message(lone, mail_id=other, index=1, count=2))[0] == 250
    wait_for("an alarm", lambda: t.log_lines(f"id={other}: 1 of 2 letters arrived"))
    assert not t.log_lines(f"mail id={mail}")


# -- death ---------------------------------------------------------------------------------------


@needs_failpoints
@pytest.mark.parametrize("point", ["after-open", "after-intent", "after-post", "after-outcome"])
def test_killed_at(own, point):
    t = own()
    lid = t.letter_id()
    message = t.message(lid)
    t.fail_at(f"transport.{point} kill")
    assert t.deliver(lid, message) is None, "a reply was given"
    t.wait_dead()
    t.start()
    assert t.deliver(lid, message)[0] == 250
    sent_once(t, lid)
    assert len(set(t.point.posts)) == 1
    assert t.deliver(lid, t.message(lid))[1].find("copy") >= 0


@needs_failpoints
def test_killed_between_replies(own):
    t = own()
    lid, other = t.letter_id(), t.letter_id()
    message = t.message(lid)
    t.fail_at("transport.between-replies kill")
    with t.client() as c:
        replies = c.send("x@report.brevdue.invalid", [t.address(lid), t.address(other)], message)
    assert replies[0][0] == 250 and replies[1] is None
    t.wait_dead()
    t.start()
    assert t.deliver(lid, message)[0] == 250
    sent_once(t, lid)


@needs_failpoints
def test_third_death_parks_the_letter_until_the_operator_acts(own):
    t = own()
    lid = t.letter_id()
    message = t.message(lid)
    for _ in range(3):
        t.fail_at("transport.after-intent kill")
        assert t.deliver(lid, message) is None
        t.wait_dead()
        t.start()
    for _ in range(2):
        assert t.deliver(lid, message)[0] == 451
    assert t.state(lid) == "parked" and t.point.posts == []
    assert t.log_lines("error:", lid, "parked")
    healthy = t.letter_id()
    assert t.deliver(healthy, t.message(healthy))[0] == 250
    assert "error" in t.ask("release", id=healthy)[-1]
    assert t.ask("release", id=lid)[-1].get("done")
    assert t.deliver(lid, message)[0] == 250
    sent_once(t, lid)


@needs_failpoints
def test_status_is_asked_for_after_a_restart(own):
    t = own()
    lid = t.letter_id()
    t.point.query_answers.append(Answer(404))
    assert t.deliver(lid, t.message(lid))[0] == 250
    t.kill()
    t.start()
    t.wait_event(lid, "status")


def test_term_lets_a_delivery_end(own):
    t = own()
    lid = t.letter_id()
    gate = threading.Event()
    t.point.answers.append(Answer(201, wait=gate))
    replies = []
    thread = threading.Thread(target=lambda: replies.append(t.deliver(lid, t.message(lid))))
    thread.start()
    t.point.wait_posts(1)
    t.process.terminate()

    def turned_away():
        try:
            with t.client(2) as c:
                return c.greeting is None or c.greeting[0] == 421
        except OSError:
            return True

    wait_for("new connections to be turned away", turned_away)
    assert t.process.poll() is None and not replies
    gate.set()
    thread.join(30)
    assert replies[0][0] == 250
    assert t.process.wait(20) == 0


# -- the socket, the operator, what is written ---------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_other_users_are_refused(t):
    (t.dir / "run").chmod(0o755)
    t.lmtp.chmod(0o666)
    nobody = pwd.getpwnam("nobody")
    said = subprocess.run(
        ["/usr/bin/python3", "-c", "import socket,sys\ns=socket.socket(socket.AF_UNIX)\n"
         "s.connect(sys.argv[1])\nprint(s.recv(100).decode())", str(t.lmtp)],
        user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], capture_output=True, text=True)
    assert said.stdout.startswith("421 4.7.0"), said


def test_too_many_connections(own):
    t = own(more="connections = 2")
    with t.client() as a, t.client() as b:
        assert a.say("LHLO x")[0] == b.say("LHLO x")[0] == 250
        with t.client() as c:
            assert c.greeting[0] == 421
    wait_for("a free place", lambda: t.client().greeting[0] == 220)


def test_operator_commands(t):
    lid = t.letter_id()
    assert t.deliver(lid, t.message(lid))[0] == 250
    run = lambda *argv: subprocess.run([BUILD / "brevdue", "-c", t.conf, *argv],  # noqa: E731
                                       capture_output=True, text=True)
    assert lid in run("letters").stdout
    assert lid in run("letters", "sent").stdout and lid not in run("letters", "failed").stdout
    shown = run("letter", lid)
    assert shown.returncode == 0 and re.search(r"intent .*instance=", shown.stdout)
    t.point.answers.append(Answer(429))
    held = t.letter_id()
    assert t.deliver(held, t.message(held))[0] == 451
    shown = run("letter", held)
    assert shown.returncode == 0 and re.search(r"later .*why=AWAY", shown.stdout), shown
    gone = run("letter", t.letter_id())
    assert gone.returncode == 1 and "no such letter" in gone.stderr
    assert t.log_lines("control: user", lid)


def test_nothing_personal_is_written(own):
    t = own()
    lid = t.letter_id()
    t.point.answers.append(Answer(500, f"bad person {PERSON} kari@example.no"))
    message = t.message(lid)
    assert t.deliver(lid, message)[0] == 451
    assert t.deliver(lid, message)[0] == 250
    t.wait_event(lid, "status")
    answers = json.dumps(t.ask("letter", id=lid) + t.ask("letters"))
    t.stop()
    written = [t.text().encode(), answers.encode()]
    written += [p.read_bytes() for p in (t.dir / "db").rglob("*") if p.is_file()]
    for secret in (PERSON, TITLE, MAILBOX, "kari@example.no", "clerk@eksempel.example", "token-"):
        for data in written:
            assert secret.encode() not in data, secret
    assert sum(len(data) for data in written) > 10000


def test_null_driver_takes_everything(own):
    t = own(driver="null")
    lid = t.letter_id()
    assert t.deliver(lid, t.message(lid))[0] == 250
    t.wait_event(lid, "status")
    assert t.point.posts == [] and t.kinds(lid) == ["queued", "intent", "sent", "status"]
    assert "copy" in t.deliver(lid, t.message(lid))[1]


def test_second_owner_of_the_records_is_refused(t):
    said = subprocess.run([BUILD / "brevdue-transport", "-c", t.conf], capture_output=True, text=True, timeout=20)
    assert said.returncode != 0
    lid = t.letter_id()
    assert t.deliver(lid, t.message(lid))[0] == 250


def test_client_that_talks_nonsense(t):
    with t.client() as c:
        c.write(b"\x00\xff\r\n")
        assert c.reply()[0] == 500
        c.write(b"A" * 5000 + b"\r\n")
        assert c.reply()[0] == 500
        assert c.say("NOOP")[0] == 250
    with Lmtp(t.lmtp) as c:
        c.begin("x@report.brevdue.invalid", [t.address(t.letter_id())])
        c.say("DATA")
        c.write(b"half a mess")
