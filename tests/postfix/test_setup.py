# SPDX-License-Identifier: Apache-2.0
"""brevdue setup: shows before it makes, makes once, takes back what it made and nothing else."""

import os
import re
import subprocess

import pytest

import stack as stacks
from stack import CITIZENS, Stack

# At the doors nobody but milter and transport can name a recipient; the log of a test that does is searched
# for numbers later.
NOBODY = f"ingen@{CITIZENS}"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="brevdue setup postfix needs root")


@pytest.fixture
def fresh(tmp_path):
    """A configuration whose Postfix instances are not there yet."""
    built = Stack(os.environ.get("BREVDUE_BUILD", "build"), folder=tmp_path)
    stacks.make_users()
    for name in ("etc", "log", "front", "send"):
        (tmp_path / name).mkdir()
    built.conf.write_text(built.configuration())
    yield built
    built.brevdue("setup", "postfix", "--undo", "--yes", check=False)


def tree(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_dry_run_shows_everything_and_makes_nothing(fresh):
    before = tree(fresh.dir)
    shown = fresh.brevdue("setup", "postfix", "--dry-run", "--mount").stdout
    assert tree(fresh.dir) == before
    for expected in ("milter_default_action = tempfail", "smtpd_milters = unix:brevdue/milter",
                     "+ RAM disk", "+ FIFO", "brevdue-digital-984661185"):
        assert expected in shown


def test_without_consent_nothing_is_made(fresh):
    before = tree(fresh.dir)
    done = fresh.brevdue("setup", "postfix", input="n\n")
    assert "nothing was changed" in done.stdout and tree(fresh.dir) == before


def test_made_once_and_taken_back(fresh):
    before = tree(fresh.dir)
    fresh.brevdue("setup", "postfix", "--yes", "--mount")
    assert os.path.ismount(fresh.front.queue)
    assert fresh.brevdue("setup", "postfix", "--yes", "--mount").stdout.count("stands as planned") == 2
    fresh.brevdue("setup", "postfix", "--undo", "--yes")
    assert tree(fresh.dir) == before and not os.path.ismount(fresh.front.queue)


def test_a_changed_setting_is_shown_as_a_difference(fresh):
    fresh.brevdue("setup", "postfix", "--yes")
    fresh.conf.write_text(fresh.conf.read_text().replace("postfix {", 'postfix {\n\trelayhost = "[127.0.0.1]:9"'))
    shown = fresh.brevdue("setup", "postfix", "--yes").stdout
    assert "+relayhost = [127.0.0.1]:9" in shown and "+ file" not in shown
    assert "relayhost = [127.0.0.1]:9" in (fresh.sending.config / "main.cf").read_text()


def test_somebody_elses_file_is_not_overwritten(fresh):
    fresh.front.config.mkdir()
    (fresh.front.config / "main.cf").write_text("# mine\n")
    done = fresh.brevdue("setup", "postfix", "--yes", check=False)
    assert done.returncode == 1 and "not made by brevdue setup" in done.stderr
    assert (fresh.front.config / "main.cf").read_text() == "# mine\n"
    assert not fresh.sending.config.exists()


def test_undo_refuses_while_mail_waits(fresh):
    fresh.brevdue("setup", "postfix", "--yes")
    queued = fresh.sending.queue / "deferred/A"
    queued.mkdir(parents=True)
    (queued / "ABCDEF").write_text("x")
    before = tree(fresh.dir)
    done = fresh.brevdue("setup", "postfix", "--undo", "--yes", check=False)
    assert done.returncode == 1 and "1 messages wait" in done.stderr and tree(fresh.dir) == before
    (queued / "ABCDEF").unlink()


def test_undo_refuses_while_an_instance_runs(ready):
    done = ready.brevdue("setup", "postfix", "--undo", "--yes", check=False)
    assert done.returncode == 1 and "instance runs" in done.stderr


def test_sockets_outside_the_queue_are_refused(fresh):
    fresh.conf.write_text(fresh.conf.read_text().replace("front/queue/brevdue/milter", "run/milter"))
    done = fresh.brevdue("setup", "postfix", "--yes", check=False)
    assert done.returncode == 1 and "not inside front-queue" in done.stderr


def test_keys_are_made_and_never_overwritten(tmp_path):
    program = os.path.join(os.environ.get("BREVDUE_BUILD", "build"), "brevdue")
    folder = tmp_path / "keys"
    first = subprocess.run([program, "setup", "keys", str(folder)], capture_output=True, text=True, check=True)
    made = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert len(made) == 2 and all(len(key) == 32 for key in made.values())
    assert all(p.stat().st_mode & 0o777 == 0o400 for p in folder.iterdir())
    assert len(set(made.values())) == 2 and first.stdout.count("made ") == 2
    second = subprocess.run([program, "setup", "keys", str(folder)], capture_output=True, text=True, check=True)
    assert second.stdout.count("kept ") == 2
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == made
    assert re.search(r'seal-key "\d{4}-\d\d"', first.stdout)


def test_doors_of_the_sending_instance_are_closed_to_others(ready):
    for name in ("seal", "mail", "report"):
        tried = subprocess.run(["/usr/bin/python3", "-c", "import os, socket, sys\n"
                                "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
                                "socket.socket(socket.AF_UNIX).connect(sys.argv[1])",
                                str(ready.sending.queue / "public" / name)], capture_output=True, text=True, check=False)
        assert "PermissionError" in tried.stderr


def test_mail_service_takes_no_citizen_and_no_sealed_address(ready):
    import smtplib
    import socket

    class Client(smtplib.SMTP):
        def _get_socket(self, host, port, timeout):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(20)
            s.connect(host)
            return s

    letter = "0123456789abcdef0123456789abcdef"
    cases = [("seal", f"{letter}@984661185.digital.brevdue.invalid", 250), ("seal", "x@annen.example", 554),
             ("seal", NOBODY, 554), ("seal", f"{letter}@report.brevdue.invalid", 554),
             ("seal", f"{letter}@nowhere.brevdue.invalid", 550), ("mail", "x@annen.example", 250),
             ("mail", NOBODY, 550), ("mail", f"{letter}@984661185.digital.brevdue.invalid", 550),
             ("report", "x@annen.example", 250), ("report", NOBODY, 550),
             ("report", f"{letter}@report.brevdue.invalid", 550)]
    for service, recipient, code in cases:
        client = Client(str(ready.sending.queue / "public" / service), 1, local_hostname="prove.example")
        client.ehlo()
        client.mail(f"{letter}@report.brevdue.invalid")
        assert (service, recipient, client.rcpt(recipient)[0]) == (service, recipient, code)
        client.close()
