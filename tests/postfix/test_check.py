# SPDX-License-Identifier: Apache-2.0
"""brevdue check: for each row of its tables one thing is broken, and exactly that is said."""

import contextlib
import os
import re
import subprocess

import pytest

from stack import USERS, age


def wrong(stack, conf=None):
    """Names of what brevdue check calls wrong. The listener with XCLIENT is the stack's own."""
    done = subprocess.run([str(stack.build / "brevdue"), "-c", str(conf or stack.conf), "check"],
                          capture_output=True, text=True, check=False, timeout=60)
    names = set(re.findall(r"^WRONG  ([^:]+):", done.stdout, re.M))
    assert done.returncode == (1 if names else 0), done.stdout + done.stderr
    return names - {"no XCLIENT"}


@contextlib.contextmanager
def file_text(path, change):
    before = path.read_text()
    path.write_text(change(before))
    age(path)
    try:
        yield
    finally:
        path.write_text(before)
        age(path)


def parameter(side, line):
    def broken(stack):
        config = stack.front.config if side == "front" else stack.sending.config
        return file_text(config / "main.cf", lambda text: f"{text}{line}\n")
    return broken


def service(side, change):
    def broken(stack):
        config = stack.front.config if side == "front" else stack.sending.config
        return file_text(config / "master.cf", change)
    return broken


@contextlib.contextmanager
def mode(path, bits):
    before = path.stat().st_mode & 0o7777
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


@contextlib.contextmanager
def stopped(daemon):
    daemon.kill()  # an orderly end takes libmilter up to 5 s
    try:
        yield
    finally:
        daemon.start()


ROWS = [
    ("front milter_default_action", parameter("front", "milter_default_action = accept")),
    ("front smtpd_forbid_bare_newline", parameter("front", "smtpd_forbid_bare_newline = no")),
    ("front smtpd_forbid_bare_newline_exclusions",
     parameter("front", "smtpd_forbid_bare_newline_exclusions = $mynetworks")),
    ("front local_header_rewrite_clients",
     parameter("front", "local_header_rewrite_clients = permit_inet_interfaces")),
    ("front notify_classes", parameter("front", "notify_classes = resource, policy")),
    ("sending notify_classes", parameter("sending", "notify_classes = protocol")),
    ("front smtpd_authorized_xclient_hosts", parameter("front", "smtpd_authorized_xclient_hosts = 192.0.2.1")),
    ("sending smtpd_authorized_xclient_hosts",
     parameter("sending", "smtpd_authorized_xclient_hosts = 127.0.0.1")),
    ("front smtpd_authorized_xforward_hosts",
     parameter("front", "smtpd_authorized_xforward_hosts = 192.0.2.1")),
    ("front authorized_submit_users", parameter("front", "authorized_submit_users = static:anyone")),
    ("sending authorized_submit_users", parameter("sending", "authorized_submit_users = static:anyone")),
    ("sending smtpd_milters", parameter("sending", "smtpd_milters = unix:x")),
    ("sending header_checks", parameter("sending", "header_checks = static:IGNORE")),
    ("sending body_checks", parameter("sending", "body_checks = static:IGNORE")),
    ("sending content_filter", parameter("sending", "content_filter = smtp:x")),
    ("front content_filter", parameter("front", "content_filter = smtp:x")),
    ("front always_bcc", parameter("front", "always_bcc = x@eksempel.example")),
    ("front debug_peer_list", parameter("front", "debug_peer_list = 192.0.2.1")),
    ("sending debug_peer_list", parameter("sending", "debug_peer_list = 192.0.2.1")),
    ("front log masked", parameter("front", "maillog_file = $config_directory/plain.log")),
    ("no -v", service("front", lambda t: t.replace("cleanup\n", "cleanup -v\n", 1))),
    ("milter not on port 25", service("front", lambda t: t + "25 inet n - y - - smtpd -o smtpd_milters=unix:x\n")),
    ("milter on each listener", service("front", lambda t: t + "127.0.0.1:2526 inet n - y - - smtpd\n")),
    ("listeners keep the rules", service("front", lambda t: t.replace(
        " smtpd\n", " smtpd\n    -o milter_default_action=accept\n", 1))),
    ("listeners keep the rules", service("front", lambda t: t.replace(
        " smtpd\n", " smtpd\n    -o { smtpd_forbid_bare_newline_exclusions = $mynetworks }\n", 1))),
    ("sending instance has no port", service("sending", lambda t: t + "2527 inet n - y - - smtpd\n")),
    ("sending instance's services", service("sending", lambda t: t.replace("\nreport ", "\nraport ", 1))),
    ("citizens' domains", parameter("front", "transport_maps =")),
    ("citizens' domains", parameter("sending", "transport_maps =")),
    ("size limits", parameter("front", "message_size_limit = 100000000")),
    ("size limits", parameter("sending", "message_size_limit = 70000000")),
    ("mailbox size limits", parameter("sending", "mailbox_size_limit = 1000")),
    ("lifetimes", parameter("sending", "maximal_queue_lifetime = 30d")),
    ("lifetimes", parameter("sending", "minimal_backoff_time = 2h")),
    ("lifetimes", parameter("sending", "lmtp_data_done_timeout = 60s")),
    ("milter time limits", parameter("front", "milter_content_timeout = 10s")),
    ("front log masked", lambda s: mode(s.front.config / "maillog.fifo", 0o644)),
    ("logmask", lambda s: stopped(s.logmask)),
    ("brevdue-milter", lambda s: stopped(s.milter)),
    ("brevdue-lookup", lambda s: stopped(s.lookup)),
    ("brevdue-transport", lambda s: stopped(s.transport)),
    ("ways between the processes", lambda s: mode(s.dir / "run/lookup", 0o700)),
    ("ways between the processes", lambda s: mode(s.dir / "run/lookup/lookup", 0o640)),
    ("ways between the processes", lambda s: mode(s.front.queue / "brevdue", 0o700)),
    ("ways between the processes", lambda s: mode(s.sending.queue / "public", 0o700)),
    ("secret and seal keys", lambda s: mode(s.dir / "etc/secret", 0o644)),
    ("secret and seal keys", lambda s: mode(s.dir / "etc/seal-2026-11", 0o640)),
    ("keys of the agencies", lambda s: mode(s.dir / "sandbox/agency.key", 0o644)),
]


def test_the_stack_as_set_up_is_right(ready):
    assert wrong(ready) == set()


@pytest.mark.parametrize("name, broken", ROWS, ids=[f"{i}-{row[0]}" for i, row in enumerate(ROWS)])
def test_row(ready, name, broken):
    with broken(ready):
        assert wrong(ready) == {name}


CONF_ROWS = [
    ("users", f'user = "{USERS[1]}"', f'user = "{USERS[0]}"'),
    ("users", f'user = "{USERS[1]}"', 'user = "ingen-slik"'),
    ("certificates of the agencies", "sandbox/agency.pem", "sandbox/other.pem"),
    ("certificates of the agencies", 'trust = "{d}/sandbox/trust.pem"', 'trust = "{d}/etc/smtp.pem"'),
    ("group of submitters", "postfix {", 'postfix {{\n\tsubmit-group = "nogroup"'),
    ("ordinary mail kept", "milter {", "milter {{\n\tordinary = pass"),
    ("sending instance answers", "public/seal", "public/seel"),
    ("front instance", "front/etc", "front/ikke"),
    ("certificate listeners", 'client "fagsystem" {{', 'client "x" {{ listeners = {{ "x" }} agencies = {{ "eksempel" }} }}\n'
     'client "fagsystem" {{'),
    ("certificate listeners", 'client "fagsystem" {{', 'client "fagsystem" {{\n\tlisteners = {{ "front" }}'),
]


@pytest.mark.parametrize("name, old, new", CONF_ROWS, ids=[f"{i}-{row[0]}" for i, row in enumerate(CONF_ROWS)])
def test_row_of_the_configuration(ready, name, old, new):
    conf = ready.dir / "etc/broken.conf"
    text = ready.conf.read_text()
    old, new = (t.format(d=ready.dir) if "{d}" in t or "{{" in t else t for t in (old, new))
    assert old in text
    conf.write_text(text.replace(old, new, 1))
    try:
        assert wrong(ready, conf) == {name}
    finally:
        conf.unlink()


def test_xclient_is_found(ready):
    assert "no XCLIENT" in ready.brevdue("check", check=False).stdout


def test_queue_on_a_disk_is_found(ready):
    conf = ready.dir / "etc/broken.conf"
    disk = ready.dir / "front"  # beside the RAM disk
    kind = subprocess.run(["stat", "-f", "-c", "%T", disk], capture_output=True, text=True, check=True).stdout
    if kind.strip() in ("tmpfs", "ramfs"):
        pytest.skip("the test's own folder is on a RAM disk")
    conf.write_text(ready.conf.read_text().replace(f'front-queue = "{ready.front.queue}"',
                                                   f'front-queue = "{disk}"'))
    found = subprocess.run([str(ready.build / "brevdue"), "-c", str(conf), "check"], capture_output=True,
                           text=True, check=False, timeout=60).stdout
    conf.unlink()
    assert "WRONG  front queue on a RAM disk" in found


def test_settings_are_listed(ready):
    listed = ready.brevdue("check", "--settings").stdout
    assert re.search(r"^milter\.socket ", listed, re.M) and re.search(r"^postfix\.front-tmpfs ", listed, re.M)
