# SPDX-License-Identifier: Apache-2.0
"""Every answer of design section 5 over real Postfix, and that a refused mail leaves nothing behind."""

import re
import smtplib

import pytest

import files
from stack import (CITIZENS, CLERK, DELETED, EXPIRED_CERTIFICATE, KARI, NEW_STATUS, NO_MAILBOX, NOT_NOTIFIABLE,
                   OLA, OPTED_OUT, UNKNOWN, citizen, mail, wait_for, wire)

ZIP = b"PK\x03\x04" + bytes(60)
EXE = b"MZ" + bytes(200)


def answer(code, text):
    """"550 5.1.3" of an answer; Postfix puts the recipient before the text at RCPT."""
    status = re.match(r"(\d\.\d+\.\d+)", text)
    return f"{code} {status[1] if status else text}"


@pytest.mark.parametrize("case, expected, kwargs", [
    ("mistyped number", "550 5.1.3", {"to": citizen(KARI[:-1] + "4")}),
    ("not a number", "550 5.1.3", {"to": f"kari.nordmann@{CITIZENS}"}),
    ("ten digits", "550 5.1.3", {"to": f"{KARI[:10]}@{CITIZENS}"}),
    ("pseudonym of nobody", "550 5.1.3", {"to": f"kari.~abcdefghij@{CITIZENS}"}),
    ("client of another address", "550 5.7.1", {"to": citizen(), "source": "127.0.0.2"}),
    ("sender not in the agency's table", "550 5.7.1", {"to": citizen(), "sender": "noen@annen.example"}),
    ("no TLS, not on loopback", "550 5.7.10", {"to": citizen(), "tls": False, "address": "192.0.2.7"}),
    ("outsider after a citizen", "550 5.7.1", {"to": [citizen(), "kari@privat.example"]}),
    ("outsider before a citizen", "550 5.7.1", {"to": ["kari@privat.example", citizen()]}),
    ("null sender", "550 5.7.1", {"to": citizen(), "sender": ""}),
    ("opted out, no print", "550 5.3.3", {"to": citizen(OPTED_OUT)}),
    ("deleted", "550 5.3.3", {"to": citizen(DELETED)}),
    ("unknown", "550 5.3.3", {"to": citizen(UNKNOWN)}),
    ("not notifiable, important", "550 5.3.3", {"to": citizen(NOT_NOTIFIABLE)}),
    ("no mailbox", "550 5.3.3", {"to": citizen(NO_MAILBOX)}),
    ("one of two has no way", "550 5.3.3", {"to": [citizen(KARI), citizen(OPTED_OUT)]}),
    ("paper asked for, agency does not print", "550 5.3.3", {"to": citizen(options="+print")}),
    ("certificate expired", "451 4.7.5", {"to": citizen(EXPIRED_CERTIFICATE)}),
    ("status nobody knows", "451 4.4.3", {"to": citizen(NEW_STATUS)}),
    ("no subject", "550 5.6.0", {"to": citizen(), "subject": ""}),
    ("a reply", "550 5.6.0", {"to": citizen(), "headers": [("In-Reply-To", "<a@b.example>")]}),
    ("unknown Brevdue header", "550 5.6.0", {"to": citizen(), "headers": [("Brevdue-Colr", "yes")]}),
    ("bad value of a Brevdue header", "550 5.6.0",
     {"to": citizen(), "headers": [("Brevdue-Security-Level", "5")]}),
    ("number in the public title", "550 5.6.0",
     {"to": citizen(), "headers": [("Brevdue-Public-Title", f"Om {KARI}")]}),
    ("auto-reply", "550 5.6.0", {"to": citizen(), "headers": [("Auto-Submitted", "auto-replied")]}),
    ("archive attached", "550 5.6.1", {"to": citizen(), "attachments": [("a.zip", "application/zip", ZIP)]}),
    ("program that says it is a PDF", "550 5.6.1",
     {"to": citizen(), "attachments": [("a.pdf", "application/pdf", EXE)]}),
])
def test_refused_in_words_and_nothing_sent(ready, title, case, expected, kwargs):
    kwargs = {"subject": title, **kwargs}
    code, text = ready.send(**kwargs)
    assert answer(code, text) == expected, (case, text)
    assert KARI not in text and "kari" not in text.split(": ", 1)[-1].lower(), text
    ready.settle()
    assert ready.titled(title) == []


@pytest.mark.parametrize("order", ["citizen first", "outsider first"])
@pytest.mark.parametrize("refusal", [550, 451])
def test_the_letter_of_a_refused_citizen_goes_to_nobody_else(ready, title, order, refusal):
    """A mail program may go on to DATA with the recipients that were taken: the outsider's must not be one."""
    outsider = f"{title.split()[1]}@privat.example"
    number = KARI[:-1] + "4" if refusal == 550 else KARI
    if refusal == 451:
        ready.lookup.kill()
    try:
        client = ready.smtp()
        client.mail(CLERK)
        answers = {to: client.rcpt(to)
                   for to in ((citizen(number), outsider) if order == "citizen first" else (outsider, citizen(number)))}
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.data(wire(mail(to=[citizen(number), outsider], subject=title)))
        client.close()
    finally:
        if not ready.lookup.running():
            ready.lookup.start()
    assert refused.value.smtp_code // 100 == 5
    if order == "citizen first":
        assert answers[citizen(number)][0] == refusal
        assert answers[outsider][0] == 550 and answers[outsider][1].startswith(b"5.7.1"), answers
    else:
        assert answers[outsider][0] == 250
        assert answers[citizen(number)][0] == 550 and b"5.7.1" in answers[citizen(number)][1], answers
    assert ready.front.queued() == [] and ready.sending.queued() == []
    assert outsider not in ready.sending.text()
    assert ready.titled(title) == []


def test_service_message_reaches_who_cannot_be_notified(ready, title):
    assert ready.send(citizen(NOT_NOTIFIABLE, options="+info"), subject=title)[0] == 250
    ready.wait_titled(title)


def test_one_text_for_every_reason_that_there_is_no_way(ready, title):
    texts = {ready.send(citizen(n), subject=title)[1] for n in (OPTED_OUT, DELETED, UNKNOWN, NO_MAILBOX)}
    assert len({re.sub(r"[0-9A-F]{8,}", "", t) for t in texts}) == 1


def test_the_refused_recipient_is_named_by_position(ready, title):
    _, text = ready.send([citizen(KARI), citizen(OLA), citizen(OPTED_OUT)], subject=title)
    assert "ecipient 3" in text


def test_the_position_counts_recipients_refused_before(ready, title):
    """The sender counts the addresses of the mail, not those that were accepted."""
    client = ready.smtp()
    client.mail(CLERK)
    assert client.rcpt(citizen(KARI[:-1] + "4"))[0] == 550
    assert client.rcpt(citizen(KARI))[0] == client.rcpt(citizen(OPTED_OUT))[0] == 250
    code, text = client.data(wire(mail(to=citizen(), subject=title)))
    client.close()
    assert code == 550 and b"ecipient 3" in text, text


def test_the_refused_part_is_named_by_position_and_type_not_by_name(ready, title):
    _, text = ready.send(citizen(), subject=title,
                         attachments=[("ok.pdf", "application/pdf", files.pdf()), ("hemmelig.zip", "application/zip", ZIP)])
    assert re.search(r"\(part 3, \w+/[\w.+-]+\)", text) and "hemmelig" not in text


@pytest.mark.parametrize("count", [100, 1000])
def test_many_recipients_are_refused_from_the_hundred_and_first_on(ready, title, count):
    """mail-recipients is 100: the rest is 452, so that a client sends it in another mail."""
    client = ready.smtp()
    client.mail(CLERK)
    codes = [client.rcpt(citizen(synthetic(n)))[0] for n in range(count)]
    client.rset()
    client.quit()
    assert codes == [250] * min(count, 100) + [452] * (count - 100)


def synthetic(n):
    """The n-th number of a test population (month + 80)."""
    found = -1
    for individual in range(100, 1000):
        for day in range(1, 29):
            d = [int(c) for c in f"{day:02}8170{individual:03}"]
            k1 = -sum(a * b for a, b in zip(d, (3, 7, 6, 1, 8, 9, 4, 5, 2))) % 11
            k2 = -sum(a * b for a, b in zip([*d, k1], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2))) % 11
            if k1 < 10 and k2 < 10:
                found += 1
                if found == n:
                    return "".join(map(str, [*d, k1, k2]))
    raise AssertionError(n)


def test_too_big_is_said_before_anything_is_read(ready, title):
    client = ready.smtp()
    code, text = client.mail(CLERK, [f"SIZE={10 ** 9}"])
    client.quit()
    assert code == 552 and text.startswith(b"5.3.4"), text


def test_ordinary_mail_goes_on_and_is_no_letter(ready, title):
    """The relay of ordinary mail is not there in this set-up: it waits in the sending queue."""
    code, text = ready.send(f"kollega@{'utenfor.example'}", message=mail(to="kollega@utenfor.example", subject=title))
    assert code == 250, text
    assert ready.front.queued() == []
    # postqueue may miss a message that moves from one queue to the next at that moment
    queued = wait_for("the mail in the sending queue", lambda: [
        m for m in ready.sending.queued() if m["recipients"][0]["address"] == "kollega@utenfor.example"])
    assert len(queued) == 1
    ready.sending.command("postsuper", "-c", ready.sending.config, "-d", queued[0]["queue_id"])
