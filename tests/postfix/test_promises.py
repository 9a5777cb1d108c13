# SPDX-License-Identifier: Apache-2.0
"""The promises of design section 2, each by a test that fails when it breaks."""

import base64
import os
import pathlib
import pwd
import quopri
import re
import smtplib
import subprocess

import pytest

from stack import (CITIZENS, CLERK, KARI, OLA, Daemon, citizen, mail, wait_for)

MARKER = "Fristen for å klage er tre uker fra du fikk dette brevet"


def forms(text):
    """How a text may lie in a file: plain, base64 at each offset, quoted-printable."""
    raw = text.encode()
    yield raw
    yield quopri.encodestring(raw).strip()
    for skip in range(3):
        coded = base64.b64encode(raw[skip:len(raw) - (len(raw) - skip) % 3])
        yield coded[4:-4]


def is_number(digits):
    d = [int(c) for c in digits]
    r1 = sum(a * b for a, b in zip(d, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1))) % 11
    r2 = sum(a * b for a, b in zip(d, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))) % 11
    month = int(digits[2:4]) % 20 or int(digits[2:4])
    return r1 in (0, 1, 2, 3) and r2 == 0 and 1 <= int(digits[:2]) % 40 <= 31 and 1 <= month <= 12


def numbers_in(data):
    return {m.decode() for m in re.findall(rb"(?<![0-9A-Fa-f])\d{11}(?![0-9A-Fa-f])", data) if is_number(m.decode())}


def kept_files(ready):
    """Every file that brevdue or Postfix keeps, but the register itself and the sandbox (which plays
    the citizen's side)."""
    for folder in ("front", "send", "db/transport", "log", "run"):
        for path in (ready.dir / folder).rglob("*"):
            if path.is_file() and path.name != "sandbox.log":
                try:
                    yield path, path.read_bytes()
                except FileNotFoundError:
                    continue


def test_1_and_6_no_plain_text_and_no_number_in_any_file(ready, title):
    """A letter is caught in the sending queue, then delivered; before and after, every file is searched."""
    subject = f"{title} om barnehageplass"
    ready.transport.stop()
    try:
        assert ready.send(citizen(name="Kari.Nordmann"), subject=subject, text=(MARKER + "\n") * 50)[0] == 250
        wait_for("the sealed message", ready.sending.queued)
        while_queued = list(kept_files(ready))
    finally:
        ready.transport.start()
    ready.sending.flush()
    ready.wait_titled(subject)
    ready.send(citizen(KARI[:-1] + "4"), subject=subject)       # refused at RCPT: Postfix logs that
    ready.send([citizen(OLA), "x@privat.example"], subject=subject)
    # slips that make it ordinary mail: logs and queues on its way, ours first, would show the number
    slips = [{"to": f"{KARI}@privat.example"}, {"to": f"Kari.{KARI}@innbyger.example"}, {"to": KARI},
             {"to": ["x@privat.example", f"{KARI}@privat.example"]},
             {"to": "x@privat.example", "sender": f"{KARI}@{CLERK.split('@')[1]}"},
             {"to": "x@privat.example", "sender": citizen(KARI)},
             {"to": citizen(OLA), "sender": f"bounce+{KARI}=innbygger.example@{CLERK.split('@')[1]}"},
             {"to": "x@privat.example", "rcpt_options": [f"ORCPT=rfc822;{citizen(KARI)}"]}]
    answers = [ready.send(message=mail(to="x@privat.example", subject=subject), **slip) for slip in slips]
    needles = [f for text in (MARKER, subject, "Kari.Nordmann") for f in forms(text)]
    for path, data in while_queued + list(kept_files(ready)):
        for needle in needles:
            assert needle not in data, f"{needle!r} in {path}"
        assert numbers_in(data) == set(), path
    assert [(code, text[:5]) for code, text in answers] == [(550, "5.1.2")] * len(slips), answers
    assert ready.sending.queued() == []
    assert any(path.name == "front.log" and CITIZENS.encode() in data for path, data in kept_files(ready)), \
        "the front's log must have been searched"


def test_1_the_search_would_find_what_it_looks_for(tmp_path):
    assert any(f in base64.b64encode(b"xy" + MARKER.encode() + b"z") for f in forms(MARKER))
    assert numbers_in(b"to=<" + KARI.encode() + b"@x>") == {KARI}


def test_1_the_front_queue_is_on_a_ram_disk(ready):
    out = subprocess.run(["stat", "-f", "-c", "%T", ready.front.queue], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "tmpfs"


def test_1_daemons_leave_no_core_and_cannot_be_dumped(ready):
    for daemon in (ready.milter, ready.lookup, ready.transport):
        pids = [daemon.process.pid, *daemon.children()]
        for pid in pids:
            limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
            assert re.search(r"Max core file size\s+0\s+0", limits), (daemon.name, pid)
            # The kernel gives the files in /proc of what may not be dumped to root (proc(5)).
            assert os.stat(f"/proc/{pid}/environ").st_uid == 0, (daemon.name, pid)


@pytest.mark.parametrize("name", ["milter", "lookup", "transport"])
def test_three_users(ready, name):
    daemon = getattr(ready, name)
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    uid = int(re.search(r"Uid:\s+(\d+)", status)[1])
    assert uid != 0
    assert pwd.getpwuid(uid).pw_name == f"brevdue-{name}"
    assert "NoNewPrivs:\t1" in status


def test_1_the_milter_holds_no_private_key(ready):
    """Only the signer child has the key's bytes (looked for in its memory from outside, as root)."""
    key = pathlib.Path(ready.sandbox.folder / "agency.key").read_text()
    numbers = subprocess.run(["openssl", "pkey", "-text", "-noout"], input=key, capture_output=True, text=True,
                             check=True).stdout
    prime = bytes.fromhex(re.sub(r"[^0-9a-f]", "", re.search(r"prime1:(.*?)prime2:", numbers, re.S)[1]))[1:]

    def memory_has(pid):
        found = False
        with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for line in maps:
                low, high = (int(x, 16) for x in line.split()[0].split("-"))
                if "r" not in line.split()[1] or "[v" in line:
                    continue
                try:
                    mem.seek(low)
                    data = mem.read(high - low)
                except (OSError, ValueError, OverflowError):
                    continue
                found = found or prime in data or prime[::-1] in data
        return found

    assert ready.send(citizen(), subject="Nokkel i minnet")[0] == 250
    holders = {pid: memory_has(pid) for pid in [ready.milter.process.pid, *ready.milter.children()]}
    assert holders.pop(ready.milter.process.pid) is False
    assert sum(holders.values()) == 1, "the signer alone (and at least it, or this test looks at nothing)"


@pytest.mark.parametrize("name", ["milter", "lookup"])
def test_4_a_daemon_that_is_away_means_try_again(ready, title, name):
    daemon = getattr(ready, name)
    daemon.kill()
    try:
        code, text = ready.send(citizen(), subject=title, tls=False)
        assert code == 451, text
        if name == "milter":  # with TLS it is the answer to STARTTLS
            with pytest.raises(smtplib.SMTPResponseException) as refused:
                ready.smtp(tls=True)
            assert refused.value.smtp_code == 454
    finally:
        daemon.start()
    assert ready.send(citizen(), subject=title)[0] == 250
    ready.wait_titled(title)


def test_4_the_transport_away_keeps_the_letter_queued(ready, title):
    ready.transport.stop()
    try:
        assert ready.send(citizen(), subject=title)[0] == 250
        wait_for("a deferred message", lambda: [m for m in ready.sending.queued() if m["queue_name"] == "deferred"])
    finally:
        ready.transport.start()
    ready.sending.flush()
    ready.wait_titled(title)


def test_4_the_sending_instance_away_means_try_again(ready, title):
    ready.sending.stop()
    try:
        code, text = ready.send(citizen(), subject=title)
        assert code == 451, text
    finally:
        ready.sending.start()
    ready.settle()
    assert ready.titled(title) == []


def test_2_refused_by_the_provider_for_a_while_then_delivered_once(ready, title):
    ready.sandbox.faults(fail=2, fail_status=503)
    assert ready.send(citizen(), subject=title)[0] == 250
    wait_for("two tries", lambda: len([x for x in ready.transport.text().splitlines() if "451" in x or
                                                 "later" in x or "4.4.1" in x]) >= 1)
    ready.sandbox.faults(fail=0)

    def delivered():
        ready.sending.flush()
        return ready.titled(title)

    wait_for("the letter", delivered, 90)
    ready.wait_titled(title)


@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "duplicate"])
def test_3_no_answer_or_already_seen_is_one_letter(ready, title, fault):
    ready.sandbox.faults(**{fault: 1})
    assert ready.send(citizen(), subject=title)[0] == 250

    def delivered():
        ready.sending.flush()
        return ready.titled(title) and not ready.sending.queued()

    wait_for("the letter", delivered, 90)
    ready.wait_titled(title)


def test_7_only_the_agencys_own_senders(ready, title):
    assert ready.send(citizen(), subject=title, sender="noen@annen.example")[0] == 550
    assert ready.send(citizen(), subject=title, sender=CLERK.upper())[0] == 250
    ready.wait_titled(title)


@pytest.mark.parametrize("name", ["lookup", "transport"])
def test_8_a_second_owner_of_the_database_is_turned_away(ready, name):
    daemon = getattr(ready, name)
    second = Daemon(f"second {name}", daemon.argv, ready.dir / "log" / f"second-{name}.log")
    second.start(wait=False)
    assert second.process.wait(30) != 0
    assert daemon.running()
    assert "second" in second.text() or "another" in second.text() or "already" in second.text(), second.text()


def test_9_a_letter_needs_somebody_who_reads_failures(ready, title):
    assert ready.send(citizen(), subject=title, sender="")[0] == 550


def test_10_the_original_is_never_queued(ready, title):
    assert ready.send(citizen(), subject=title)[0] == 250
    assert ready.front.queued() == []
    ready.wait_titled(title)


def test_3_a_retry_through_a_second_gateway_is_one_letter(ready, title):
    """Two gateways of one agency: the same secret and seal key, one transport."""
    other = ready.second_gateway()
    try:
        message = mail(to=citizen(), subject=title)
        assert ready.send(citizen(), message=message)[0] == 250
        assert other.send(citizen(), message=message)[0] == 250
    finally:
        other.stop_second()
    ready.settle()
    ready.wait_titled(title)
