# SPDX-License-Identifier: Apache-2.0
"""Ways into Postfix that are not an ordinary SMTP session: none may carry plain text past the milter,
none may make two letters."""

import base64
import re
import threading

import pytest

from stack import CITIZENS, CLERK, DAGNY, KARI, OLA, citizen, mail, wait_for, wire


def test_an_alias_to_a_citizen_is_not_followed(ready, title):
    """An alias map that points to a citizen would put the number into the sending instance's log and
    queue. No address is mapped there: the mail goes on to the agency's relay as it is."""
    alias, config = "alias@utenfor.example", ready.sending.config
    before = ready.sending.command("postconf", "-c", config, "-h", "virtual_alias_maps").stdout.strip()
    ready.sending.command("postconf", "-c", config, f"virtual_alias_maps=inline:{{{alias}={citizen()}}}")
    ready.sending.postfix("reload")
    try:
        code, text = ready.send(alias, message=mail(to=alias, subject=title))
        assert code == 250, text
        assert [m["recipients"][0]["address"] for m in ready.sending.queued()] == [alias]
    finally:
        ready.sending.command("postconf", "-c", config, f"virtual_alias_maps={before}")
        ready.sending.postfix("reload")
        ready.sending.command("postsuper", "-c", config, "-d", "ALL")
    assert ready.titled(title) == []
    assert KARI not in ready.sending.text()


def test_plain_mail_to_a_citizen_has_no_way_in_either_instance(ready):
    """What comes past the milter by whatever door ends at error:."""
    for instance in (ready.front, ready.sending):
        table = instance.command("postconf", "-c", instance.config, "-hx", "transport_maps").stdout.strip()
        assert instance.command("postmap", "-c", instance.config, "-q", CITIZENS, table).stdout.startswith("error:5.7.1")

def test_postsuper_requeue_sends_the_letter_once(ready, title):
    ready.transport.stop()
    try:
        assert ready.send(citizen(), subject=title)[0] == 250
        [message] = wait_for("the sealed message", ready.sending.queued)
        ready.sending.command("postsuper", "-c", ready.sending.config, "-r", message["queue_id"])
    finally:
        ready.transport.start()
    ready.sending.wake("pickup")
    ready.wait_titled(title)


def test_a_sealed_message_resent_as_a_copy_is_one_letter(ready, title):
    """A copy of a queued message handed in again (another gateway's retry, an operator's mistake)."""
    ready.transport.stop()
    try:
        message = mail(to=citizen(), subject=title)
        for _ in range(3):
            assert ready.send(citizen(), message=message)[0] == 250
        assert len(wait_for("three sealed messages", lambda: len(q := ready.sending.queued()) == 3 and q)) == 3
    finally:
        ready.transport.start()
    ready.sending.flush()  # three LMTP sessions at the same time
    ready.wait_titled(title)


@pytest.mark.parametrize("options", [["NOTIFY=NEVER"], ["NOTIFY=SUCCESS,FAILURE,DELAY"]])
def test_notify_never_hides_no_letter(ready, title, options):
    code, text = ready.send(citizen(), subject=title, rcpt_options=options)
    assert code == 250, text
    ready.wait_titled(title)


def test_envid_and_ret_are_taken(ready, title):
    code, text = ready.send(citizen(), subject=title, mail_options=["RET=HDRS", "ENVID=sak-17"])
    assert code == 250, text
    ready.wait_titled(title)


def test_smtputf8_and_8bitmime(ready, title):
    message = mail(to=citizen(), subject=f"{title} blåbær", text="Hei på deg, æøå.\n")
    code, text = ready.send(citizen(), message=message, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    assert code == 250, text
    ready.wait_titled(f"{title} blåbær")


def test_utf8_local_part_before_the_number(ready, title):
    client = ready.smtp()
    client.command_encoding = "utf-8"
    client.mail(CLERK, ["SMTPUTF8"])
    assert client.rcpt(citizen(name="Kåre.Blåbær"))[0] == 250
    assert client.data(wire(mail(to=citizen(), subject=title)))[0] == 250
    client.quit()
    ready.wait_titled(title)


def bdat(client, data, last):
    client.sock.sendall(b"BDAT %d%s\r\n" % (len(data), b" LAST" if last else b"") + data)
    return client.getreply()


def test_bdat_in_chunks_is_like_data(ready, title):
    raw = wire(mail(to=citizen(), subject=title, text="Linje\n" * 500))
    client = ready.smtp()
    if not client.has_extn("chunking"):
        pytest.skip("this Postfix announces no CHUNKING here")
    client.mail(CLERK)
    client.rcpt(citizen())
    for i in range(0, len(raw), 1000):
        code, text = bdat(client, raw[i:i + 1000], i + 1000 >= len(raw))
        assert code == 250, text
    client.quit()
    [letter] = ready.wait_titled(title)
    assert ready.document(letter, 0).decode().count("Linje") == 500


SMUGGLED = "MAIL FROM:<{0}>\r\nRCPT TO:<{1}>\r\nDATA\r\nSubject: smuglet\r\n\r\nsmuglet\r\n"


@pytest.mark.parametrize("end", ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r"])
@pytest.mark.parametrize("how", ["DATA", "BDAT"])
def test_no_second_mail_can_be_smuggled_in(ready, title, end, how):
    """An end of data that only some servers see must never make two messages of one."""
    smuggled = SMUGGLED.format(CLERK, citizen(OLA)) + "."
    head = f"From: {CLERK}\r\nTo: {citizen()}\r\nSubject: {title}\r\nMessage-ID: <{title.replace(' ', '.')}@b.example>\r\n\r\n"
    body = (head + "Hei" + end + smuggled + "\r\n").encode()
    client = ready.smtp()
    client.mail(CLERK)
    client.rcpt(citizen())
    if how == "DATA":
        assert client.docmd("DATA")[0] == 354
        client.sock.sendall(body + b".\r\n")
        client.getreply()
    else:
        bdat(client, body, True)
    client.close()
    ready.settle()
    assert ready.titled("smuglet") == []
    assert len(ready.titled(title)) <= 1


def test_client_that_leaves_before_the_answer_and_comes_again(ready, title):
    """RFC 1047: the 250 is lost, the client sends again."""
    message = wire(mail(to=citizen(), subject=title))
    client = ready.smtp()
    client.mail(CLERK)
    client.rcpt(citizen())
    assert client.docmd("DATA")[0] == 354
    client.sock.sendall(message + b".\r\n")
    client.close()
    assert ready.send(citizen(), message=message)[0] == 250
    ready.settle()
    ready.wait_titled(title)


def test_many_clients_at_once(ready, title):
    """More sessions than submission connections: all end, each with its letter."""
    answers = []
    people = [KARI, OLA, DAGNY]

    def one(n):
        answers.append(ready.send(citizen(people[n % 3]), subject=f"{title} {n}")[0])

    threads = [threading.Thread(target=one, args=(n,)) for n in range(30)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [250] * 30
    for n in range(30):
        ready.wait_titled(f"{title} {n}")


def test_forged_sealed_message_goes_nowhere(ready, title):
    """The public listener does not take the transport's domains, whoever asks."""
    address = f"{'0' * 32}@984661185.digital.brevdue.invalid"
    code, text = ready.send(address, message=mail(to=address, subject=title))
    assert code // 100 == 5, text


def test_base64_body_is_decoded(ready, title):
    text = "Vedtaket følger her.\n" * 20
    head = (f"From: {CLERK}\r\nTo: {citizen()}\r\nSubject: {title}\r\nMessage-ID: <b64.{title[-12:]}@b.example>\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n")
    raw = head.encode() + base64.encodebytes(text.encode()).replace(b"\n", b"\r\n")
    assert ready.send(citizen(), message=raw)[0] == 250
    [letter] = ready.wait_titled(title)
    assert "følger her" in ready.document(letter, 0).decode()
