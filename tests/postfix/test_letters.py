# SPDX-License-Identifier: Apache-2.0
"""Mail in, sealed letter in the mailbox: what must arrive, and how often."""

import datetime
import hashlib
import secrets

import files
from stack import AGENCY_DOMAIN, CLERK, DAGNY, KARI, OLA, citizen, mail, wire


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_text_pdf_and_picture_arrive_byte_for_byte(ready, title):
    pdf, png = files.pdf(title), files.png()
    code, text = ready.send(citizen(), subject=title, attachments=[("vedtak.pdf", "application/pdf", pdf),
                                                                   ("kart.png", "image/png", png)])
    assert code == 250, text
    [letter] = ready.wait_titled(title)
    digests = [d["sha256"] for d in letter["documents"]]
    assert len(digests) == 3 and sha(pdf) in digests and sha(png) in digests
    assert letter["signer"] == letter["sender"] == "123456785"
    assert letter["security_level"] == 4 and letter["public_title"] == "Brev fra Eksempel kommune"


def test_notices_are_ordered_for_today_and_in_a_week(ready, title):
    assert ready.send([citizen(KARI), citizen(OLA)], subject=title)[0] == 250
    by_provider = {x["provider"]: x["notices"] for x in ready.wait_titled(title, 2)}
    email, mobile = by_provider["984661185"], by_provider["922020175"]
    assert email["epostvarsel"]["repetisjoner"] == [0, 7] and "smsvarsel" not in email
    assert mobile["smsvarsel"]["repetisjoner"] == [0, 7] and "epostvarsel" not in mobile


def test_each_recipient_gets_a_letter_at_the_own_provider(ready, title):
    code, text = ready.send([citizen(KARI), citizen(OLA), citizen(DAGNY)], subject=title)
    assert code == 250, text
    letters = ready.wait_titled(title, 3)
    assert sorted(x["mailbox"] for x in letters) == ["0000487204", "0000510007", "kari.provesen#1ABC"]


def test_one_person_named_twice_gets_one_letter(ready, title):
    code, text = ready.send([citizen(KARI), citizen(KARI, name="Kari.Nordmann"), citizen(OLA)], subject=title)
    assert code == 250, text
    ready.wait_titled(title, 2)


def test_a_clients_retry_is_the_same_letter(ready, title):
    message = mail(to=citizen(), subject=title)
    for _ in range(2):
        assert ready.send(citizen(), message=message)[0] == 250
        ready.settle()
    ready.wait_titled(title)


def test_a_retry_with_other_boundary_and_received_lines_is_the_same_letter(ready, title):
    message_id = f"<{secrets.token_hex(8)}@{AGENCY_DOMAIN}>"
    for boundary, before in (("one", b""), ("two", b"Received: from a by b; Mon, 23 Nov 2026 12:00:00 +0100\r\n")):
        message = mail(to=citizen(), subject=title, message_id=message_id,
                       attachments=[("a.pdf", "application/pdf", files.pdf())])
        message.set_boundary(boundary)
        assert ready.send(citizen(), message=before + message.as_bytes())[0] == 250
    ready.settle()
    ready.wait_titled(title)


def test_another_message_id_is_another_letter(ready, title):
    for _ in range(2):
        assert ready.send(citizen(), subject=title)[0] == 250
    ready.wait_titled(title, 2)


def test_mail_without_message_id_resent_is_one_letter(ready, title):
    message = mail(to=citizen(), subject=title)
    del message["Message-ID"]
    for _ in range(2):
        assert ready.send(citizen(), message=message)[0] == 250
    ready.settle()
    ready.wait_titled(title)


def test_three_messages_a_reset_and_a_refusal_in_one_session(ready, title):
    """Nothing of one message may leak into the next of the same connection."""
    client = ready.smtp()
    titles = [f"{title} {n}" for n in range(3)]

    def one(subject, to):
        client.mail(CLERK)
        assert client.rcpt(to)[0] == 250
        return client.data(wire(mail(to=to, subject=subject)))[0]

    assert one(titles[0], citizen(KARI)) == 250
    client.mail(CLERK)
    assert client.rcpt(citizen(OLA))[0] == 250
    client.rset()
    client.mail(CLERK)
    assert client.rcpt(citizen(KARI[:-1] + "4"))[0] == 550
    assert client.rcpt(citizen(DAGNY))[0] == 250
    client.rset()
    assert one(titles[1], citizen(OLA)) == 250
    assert one(titles[2], citizen(DAGNY)) == 250
    client.quit()
    for n, mailbox in enumerate(["kari.provesen#1ABC", "0000487204", "0000510007"]):
        [letter] = ready.wait_titled(titles[n])
        assert letter["mailbox"] == mailbox


def test_a_temporary_refusal_between_two_letters_of_one_session(ready, title):
    """Postfix 3.7 refuses the rest of a session after a milter error, but not after a milter's own 451."""
    client = ready.smtp()

    def one(subject):
        client.mail(CLERK)
        client.rcpt(citizen(KARI))
        return client.data(wire(mail(to=citizen(KARI), subject=subject)))[0]

    assert one(f"{title} a") == 250
    ready.lookup.stop()
    try:
        client.mail(CLERK)
        assert client.rcpt(citizen(KARI))[0] == 451
        client.rset()
    finally:
        ready.lookup.start()
    assert one(f"{title} b") == 250
    client.quit()
    ready.wait_titled(f"{title} a")
    ready.wait_titled(f"{title} b")


def test_read_receipt_is_ordered_when_asked_for(ready, title):
    assert ready.send(citizen(), subject=title, headers=[("Disposition-Notification-To", CLERK)])[0] == 250
    [letter] = ready.wait_titled(title)
    assert letter["open_receipt"] is True


def test_options_of_headers_reach_the_letter(ready, title):
    visible = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)
    headers = [("Brevdue-Public-Title", "Post om skole"), ("Brevdue-Security-Level", "3"),
               ("Brevdue-Language", "nn"), ("Brevdue-Effective", visible.isoformat(timespec="seconds")),
               ("Brevdue-Unit", "skole")]
    code, text = ready.send(citizen(), subject=title, headers=headers)
    assert code == 250, text
    [letter] = ready.wait_titled(title)
    assert (letter["public_title"], letter["security_level"], letter["language"], letter["unit"]) == \
        ("Post om skole", 3, "nn", "skole")
    assert letter["effective"].startswith(visible.strftime("%Y-%m-%d"))


def test_a_large_mail_passes(ready, title):
    big = files.pdf() + b"\n%" + secrets.token_bytes(10_000_000).hex().encode()
    code, text = ready.send(citizen(), subject=title, attachments=[("stor.pdf", "application/pdf", big)])
    assert code == 250, text
    [letter] = ready.wait_titled(title)
    assert sha(big) in [d["sha256"] for d in letter["documents"]]


def test_the_log_joins_both_queue_ids(ready, title):
    assert ready.send(citizen(), subject=title)[0] == 250
    ready.wait_titled(title)
    line = [x for x in ready.milter.text().splitlines() if "letter id=" in x][-1]
    fields = dict(part.split("=", 1) for part in line.split() if "=" in part)
    assert f" {fields['queue']}: " in ready.front.text()
    assert f" {fields['submitted']}: " in ready.sending.text()
