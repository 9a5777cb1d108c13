# SPDX-License-Identifier: Apache-2.0
"""kill -9 at fixed points: the client hears 451 (or the letter stays deferred), and after its retry there
is exactly one letter. Needs a build with --enable-failpoints."""

import os
import signal
import smtplib

import pytest

from stack import DAGNY, KARI, OLA, citizen, mail, wait_for, wire

MILTER = ["after-persons", "after-read", "before-submit", "between-submissions", "after-submit"]
# Between two replies it is killed in tests/wire/test_transport.py: each sealed message has one recipient.
TRANSPORT = ["after-open", "after-intent", "after-post", "after-outcome"]


def until_delivered(ready, title, count):
    def done():
        ready.sending.flush()
        return len(ready.titled(title)) >= count and not ready.sending.queued()

    wait_for("the letters", done, 90)
    assert len(ready.titled(title)) == count


@pytest.mark.parametrize("point", MILTER)
def test_milter_killed(ready, title, point):
    to = [citizen(KARI), citizen(OLA), citizen(DAGNY)]
    message = mail(to=to, subject=title)
    with ready.failpoint(f"milter.{point}"):
        code, text = ready.send(to, message=message)
        assert code in (451, 421, 0), (point, text)
        wait_for("the milter's end", lambda: not ready.milter.running())
    assert ready.milter.process.returncode == -signal.SIGKILL
    ready.milter.start()
    code, text = ready.send(to, message=message)
    assert code == 250, text
    until_delivered(ready, title, 3)


@pytest.mark.parametrize("point", TRANSPORT)
def test_transport_killed(ready, title, point):
    message = mail(to=citizen(), subject=title)
    with ready.failpoint(f"transport.{point}"):
        code, text = ready.send(citizen(), message=message)
        assert code == 250, text
        wait_for("the transport's end", lambda: not ready.transport.running())
    ready.transport.start()
    until_delivered(ready, title, 1)


@pytest.mark.parametrize("who", ["brevdue-reader", "signer"])
def test_child_of_the_milter_killed(ready, title, who):
    """It costs at most one mail a 451; the next one passes with the same milter."""
    milter = ready.milter.process.pid
    victims = [pid for pid, name in ready.milter.children().items() if who in name]
    assert victims, ready.milter.children()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    message = mail(to=citizen(), subject=title)
    codes = [ready.send(citizen(), message=message)[0]]
    if codes[0] == 451:
        codes.append(ready.send(citizen(), message=message)[0])
    assert codes[-1] == 250, codes
    assert ready.milter.process.pid == milter and ready.milter.running()
    until_delivered(ready, title, 1)


def test_signer_of_the_transport_killed(ready, title):
    victims = [pid for pid, name in ready.transport.children().items() if "signer" in name]
    assert victims, ready.transport.children()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    assert ready.send(citizen(), subject=title)[0] == 250
    until_delivered(ready, title, 1)


def test_lookup_killed_while_a_mail_comes_in(ready, title):
    """Killed after the recipients, before the end of data."""
    client = ready.smtp()
    client.mail("kari@eksempel.example")
    assert client.rcpt(citizen())[0] == 250
    ready.lookup.kill()
    with pytest.raises(smtplib.SMTPDataError) as refused:
        client.data(wire(mail(to=citizen(), subject=title)))
    ready.lookup.start()
    assert refused.value.smtp_code == 451
    client.close()
    assert ready.send(citizen(), subject=title)[0] == 250
    until_delivered(ready, title, 1)
