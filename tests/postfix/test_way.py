# SPDX-License-Identifier: Apache-2.0
"""The way of a letter through both Postfix instances: what arrives, what is refused, what is left."""

import hashlib
import json
import re

import pytest

import files
from stack import CLERK, KARI, citizen, mail, wait_for

MARKER = "Fristen for klage er treogtyve uker"
SUBJECT = "Vedtak med kjennetegn 7391"


def new_letters(stack, before):
    return [letter for letter in stack.letters() if letter["id"] not in before]


def ids(stack):
    return {letter["id"] for letter in stack.letters()}


def test_text_pdf_and_picture_arrive_unchanged(ready):
    before = ids(ready)
    pdf, png = files.pdf("Vedtak"), files.png()
    assert ready.send(citizen(name="Kari.Nordmann"), subject=SUBJECT, text=f"Hei.\n\n{MARKER}.\n",
                      attachments=[("vedtak.pdf", "application/pdf", pdf), ("kart.png", "image/png", png)])[0] == 250
    ready.wait_letters(len(before) + 1)
    letter, = new_letters(ready, before)
    digests = {d["sha256"] for d in letter["documents"]}
    assert {hashlib.sha256(data).hexdigest() for data in (pdf, png)} <= digests
    assert len(letter["documents"]) == 3


def test_queue_holds_no_plain_text_while_the_transport_is_away(ready):
    before = ids(ready)
    ready.transport.stop()
    assert ready.send(citizen(name="Kari.Nordmann"), subject=SUBJECT, text=f"Hei.\n\n{MARKER}.\n")[0] == 250
    queued, = ready.sending.queued()
    assert not [p for p in ready.front.raw_files() if p.parts[-2] in ("incoming", "active", "deferred")]
    shown = ready.sending.postcat(queued["queue_id"])
    assert "authEnveloped-data" in shown
    for path, data in {**ready.front.raw_files(), **ready.sending.raw_files()}.items():
        for marker in (MARKER, SUBJECT, KARI, "Nordmann"):
            assert marker.encode() not in data, f"{marker} in {path}"
    ready.transport.start()
    ready.sending.flush()
    ready.wait_letters(len(before) + 1)


def test_one_log_line_joins_both_queue_ids(ready):
    before = ids(ready)
    assert ready.send(citizen())[0] == 250
    ready.wait_letters(len(before) + 1)
    front, sending = re.findall(r"letter id=\S+ .*queue=(\S+) submitted=(\S+)", ready.milter.text())[-1]
    assert f"{sending}: client=localhost[127.0.0.1], orig_queue_id={front}" in ready.sending.text()


def test_brevdue_open_shows_the_record_without_the_person(ready):
    before = ids(ready)
    ready.transport.stop()
    assert ready.send(citizen(), subject=SUBJECT, text=MARKER)[0] == 250
    queued, = ready.sending.queued()
    message = ready.dir / "sealed.eml"
    message.write_text(ready.sending.command("postcat", "-c", ready.sending.config, "-bhq",
                                             queued["queue_id"]).stdout)
    shown = ready.brevdue("open", message).stdout
    record = json.loads(shown)
    assert record["route"] == "digital" and KARI not in shown and SUBJECT not in shown
    person = json.loads(ready.brevdue("open", "--show-person", message).stdout)
    assert person["addressees"][0]["national_id"] == KARI
    provider = person["addressees"][0]["provider"]
    opened = ready.brevdue("open", "--cert", ready.dir / f"sandbox/provider-{provider}.pem", "--package-key",
                           ready.dir / f"sandbox/provider-{provider}.key", message).stdout
    assert record["documents"][0]["sha256"] in opened.splitlines()[-1]
    message.write_text(message.read_text().replace("A", "B", 1).replace("MII", "MIJ", 1))
    assert ready.brevdue("open", message, check=False).returncode == 1
    ready.transport.start()
    ready.sending.flush()
    ready.wait_letters(len(before) + 1)


@pytest.mark.parametrize("to, kwargs, code", [
    (citizen("01819090014"), {}, "5.1.3"),
    (citizen(), {"source": "127.0.0.2"}, "5.7.1"),
    ([citizen(), "kari@privat.example"], {}, "5.7.1"),
    (citizen(), {"sender": "fremmed@annen.example"}, "5.7.1"),
    ("abc@report.brevdue.invalid", {}, "5.3.5"),
], ids=["mistyped", "unknown client", "outsider", "unknown sender", "internal address"])
def test_refusals(ready, to, kwargs, code):
    before = len(ready.letters())
    number, text = ready.send(to, **kwargs)
    assert (number, text.split()[0]) == (550, code)
    assert len(ready.letters()) == before


def test_register_down_is_temporary_and_the_retry_comes_once(ready):
    before = ids(ready)
    message = mail(to=citizen(), message_id="<nede@eksempel.example>")
    ready.lookup.stop()
    number, text = ready.send(citizen(), message)
    assert (number, text.split()[0]) == (451, "4.4.3")
    ready.lookup.start()
    assert ready.send(citizen(), message)[0] == 250
    assert ready.send(citizen(), message)[0] == 250
    wait_for("the queue to run empty", lambda: not ready.sending.queued())
    assert len(new_letters(ready, before)) == 1


def test_milter_dead_is_temporary_and_leaves_nothing(ready):
    ready.milter.kill()
    assert ready.send(citizen(), tls=False)[0] == 451
    assert not ready.front.queued() and not ready.sending.queued()
    ready.milter.start()


@pytest.mark.parametrize("instance", ["front", "sending"])
def test_sendmail_is_closed(ready, instance):
    config = getattr(ready, instance).config
    done = ready.front.command("sendmail", "-C", config, "-f", CLERK, citizen(), input="Hei\n", check=False)
    assert done.returncode != 0 and "not allowed" in done.stderr
    assert not getattr(ready, instance).queued()


def test_no_log_holds_a_person(ready):
    ready.send(citizen(name="Kari.Nordmann"), subject=SUBJECT)
    ready.send(citizen("01819090014", name="Kari.Nordmann"))
    wait_for("the masked line", lambda: "***@" in ready.front.text())
    for path in (ready.dir / "log").iterdir():
        text = path.read_text(errors="replace")
        for marker in (KARI, "01819090014", "Nordmann", SUBJECT):
            assert marker not in text, f"{marker} in {path}"
