# SPDX-License-Identifier: Apache-2.0
"""The built brevdue-milter with the real lookup daemon and reader, spoken to as an MTA does. Only
the sending Postfix is a scripted server."""

import base64
import concurrent.futures
import contextlib
import datetime
import grp
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import subprocess
import time

import pytest

from files import pdf, png
from milterclient import Gone, MilterClient
from pki import Party, key_pem
from smtpsink import SmtpSink
from stack import Daemon, wait_for

BUILD = pathlib.Path(os.environ.get("BREVDUE_BUILD", pathlib.Path(__file__).parents[2] / "build")).resolve()
DOMAIN = "innbygger.example.no"
KARI, OLA, RITA = "01819090013", "15906312309", "41810120035"
PROVIDER = "984661185"
CLERK = "kari@etat.example"
MARKER = "kanarifugl-i-gruva"
TLS = {"tls_version": "TLSv1.3"}


def find(name):
    places = [BUILD / name, *BUILD.glob(f"*/{name}")]
    return next((p for p in places if p.exists()), None)


def person(number, mailbox_cert, reserved="NEI"):
    now = datetime.datetime.utcnow().strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"personidentifikator": number, "reservasjon": reserved, "status": "AKTIV",
            "varslingsstatus": "KAN_VARSLES",
            "kontaktinformasjon": {"epostadresse": "a@privat.example", "epostadresse_oppdatert": now,
                                   "epostadresse_sist_verifisert": now},
            "digital_post": {"postkasseadresse": f"boks.{number[-3:]}#1ABC",
                             "postkasseleverandoeradresse": PROVIDER},
            "sertifikat": mailbox_cert, "spraak": "nb"}


class World:
    """Two daemons, a register with three persons and two SMTP sinks in one folder."""

    def __init__(self, folder):
        self.dir = folder
        self.conf, self.socket = folder / "brevdue.conf", folder / "front/milter"
        self.failpoints = folder / "failpoints"
        env = {"BREVDUE_FAILPOINT": str(self.failpoints)}
        self.lookup = Daemon("lookup", [find("brevdue-lookup"), "-c", self.conf], folder / "lookup.log")
        self.milter = Daemon("milter", [find("brevdue-milter"), "-c", self.conf], folder / "milter.log", env)
        self.seal, self.mail = SmtpSink(folder / "seal"), SmtpSink(folder / "mail")
        self.write_keys()
        self.write_conf()

    def write_keys(self):
        root = Party([("CN", "Test Root")], ca=True)
        agency = Party([("CN", "Etat"), ("serial", "123456785")], root)
        mailbox = Party([("CN", "Postkasse"), ("serial", PROVIDER)], root)
        for name, data in (("secret", secrets.token_bytes(32)), ("seal-key", secrets.token_bytes(32)),
                           ("agency.key", key_pem(agency.key))):
            (self.dir / name).write_bytes(data)
            (self.dir / name).chmod(0o600)
        agency.write(self.dir, "agency")
        root.write(self.dir, "root")
        mailbox.write(self.dir, "mailbox")
        text = (self.dir / "mailbox-cert.pem").read_text()
        der = "".join(line for line in text.splitlines() if not line.startswith("-"))
        persons = [person(KARI, der), person(OLA, der), person(RITA, der, reserved="JA")]
        (self.dir / "persons.json").write_text(json.dumps({"personer": persons}))

    def write_conf(self, milter="", reader=None, ordinary="resubmit"):
        d, group = self.dir, grp.getgrgid(os.getgid()).gr_name
        self.conf.write_text(f"""
log = stderr
secret = "{d}/secret"
national-numbers = synthetic
trust = "{d}/root-cert.pem"
seal-key "1" {{ file = "{d}/seal-key" }}
agency "etat" {{
	orgnr = 123456785
	display-name = "Etaten"
	certificate = "{d}/agency-chain.pem"
	key = "{d}/agency.key"
	public-title = "Brev fra etaten"
	archive = none
	client-id = "x"
	sender "@etat.example" {{ kinds = {{ important, service }} }}
}}
domain "{DOMAIN}" {{ }}
client "kari" {{
	logins = {{ "kari" }}
	agencies = {{ "etat" }}
}}
client "nett" {{
	networks = {{ "192.0.2.0/24" }}
	agencies = {{ "etat" }}
}}
milter {{
	socket = "{self.socket}"
	socket-group = "{group}"
	reader = "{reader or find('brevdue-reader')}"
	submit-seal = "{d}/seal"
	submit-mail = "{d}/mail"
	ordinary = {ordinary}
	{milter}
}}
lookup {{
	socket = "{d}/lookup/lookup"
	control = "{d}/lookup/control"
	database = "{d}/register"
}}
transport {{ socket = "{d}/t/lmtp" control = "{d}/t/control" database = "{d}/records" }}
access-point {{ url = "http://127.0.0.1:1/dpi" insecure-loopback = yes }}
maskinporten {{ token-url = "http://127.0.0.1:1/token" audience = "http://127.0.0.1:1/" insecure-loopback = yes }}
""", encoding="utf-8")

    def start(self):
        (self.dir / "register").mkdir(mode=0o700, exist_ok=True)
        self.lookup.start()
        subprocess.run([find("brevdue"), "-c", self.conf, "registry", "import", self.dir / "persons.json"],
                       check=True, capture_output=True)
        self.milter.start()

    def stop(self):
        for part in (self.milter, self.lookup, self.seal, self.mail):
            part.stop()

    def reload(self):
        self.milter.kill()  # an orderly end takes libmilter up to 5 s
        self.milter.start()

    def client(self, version=6, login="kari", address="127.0.0.1", tls=True):
        client = MilterClient(self.socket, version)
        client.connect(address=address)
        client.helo(**(TLS if tls else {}))
        client.login = {"auth_authen": login} if login else {}
        client.login.update(TLS if tls else {})
        return client

    @contextlib.contextmanager
    def failpoint(self, point, action="kill"):
        self.failpoints.write_text(f"{point} {action}\n")
        self.failpoints.chmod(0o666)
        try:
            yield
        finally:
            self.failpoints.write_text("")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    for name in ("brevdue", "brevdue-milter", "brevdue-lookup", "brevdue-reader"):
        if find(name) is None:
            pytest.skip(f"{name} is not built")
    w = World(tmp_path_factory.mktemp("m"))
    try:
        w.start()
        yield w
    finally:
        w.stop()


@pytest.fixture(autouse=True)
def clean(request):
    if "world" in request.fixturenames:
        world = request.getfixturevalue("world")
        world.seal.reset()
        world.mail.reset()
    yield


HEADERS = [("From", "Kari <kari@etat.example>"), ("To", f"{KARI}@{DOMAIN}"), ("Subject", f"Vedtak {MARKER}"),
           ("Date", "Mon, 23 Nov 2026 12:00:00 +0100"), ("Message-ID", "<1@etat.example>"),
           ("MIME-Version", "1.0"), ("Content-Type", "text/plain; charset=utf-8"),
           ("Content-Transfer-Encoding", "8bit")]
BODY = f"Hei.\r\n\r\nHer er vedtaket, {MARKER}.\r\n.punktum først\r\n".encode()


def letter(client, to=(KARI,), headers=HEADERS, body=BODY, chunk=65535, sender=CLERK, queue_id="4FRONT"):
    """A whole mail; the first Reply that is not "continue", or the last."""
    reply = client.mail(sender, **client.login)
    for number in to:
        if reply.verdict == "continue":
            reply = client.rcpt(f"{number}@{DOMAIN}")
    if reply.verdict == "continue":
        reply = client.content(headers, body, chunk, queue_id)
    return client.end(i=queue_id) if reply.verdict == "continue" else reply


def multipart(parts, boundary="grense"):
    body = b""
    for kind, data in parts:
        body += (f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n").encode()
        body += base64.encodebytes(data).replace(b"\n", b"\r\n") + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    headers = [h for h in HEADERS if not h[0].startswith("Content-")]
    return headers + [("Content-Type", f'multipart/mixed; boundary="{boundary}"')], body


def test_negotiation_asks_for_macros_and_changes_nothing(world):
    with world.client() as client:
        assert client.agreed == 6
        assert client.actions == 0x100  # SMFIF_SETSYMLIST and no right to change a mail
        assert "{auth_authen}" in client.macros_wanted[2] and "{tls_version}" in client.macros_wanted[2]
        assert "i" in client.macros_wanted[5]
        assert "{daemon_name}" in client.macros_wanted[0]


@pytest.mark.parametrize("version", [6, 2])
def test_letter(world, version):
    with world.client(version) as client:
        assert letter(client).verdict == "discard"
    (mail,) = world.seal.mails
    assert mail.commands[0] == "XFORWARD IDENT=4FRONT"
    ident = re.fullmatch(r"MAIL FROM:<([0-9a-f]{32})@report\.brevdue\.invalid> RET=HDRS", mail.commands[1]).group(1)
    assert mail.commands[2] == f"RCPT TO:<{ident}@{PROVIDER}.digital.brevdue.invalid> NOTIFY=FAILURE,DELAY"
    for secret in (MARKER.encode(), KARI.encode(), b"Vedtak", base64.b64encode(MARKER.encode())[:-4]):
        assert secret not in mail.content
    assert b"multipart/mixed" in mail.content and b"application/cms" in mail.content
    log = wait_for("the letter's line", lambda: re.findall(rf"letter id={ident} .*", world.milter.text()))
    assert re.search(r"queue=4FRONT submitted=4SINK1 agency=etat person=[0-9a-f]{16} route=digital "
                     r"result=queued dsn=2\.0\.0 ms=\d+$", log[-1])


def test_every_chunking_makes_the_same_letter(world):
    headers, body = multipart([("text/plain", b"Hei\r\n"), ("application/pdf", pdf()), ("image/png", png())])
    seen = set()
    with world.client() as client:
        for chunk in (1, 2, 7, 4096, 65535):
            assert letter(client, headers=headers, body=body, chunk=chunk).verdict == "discard"
            seen.add(world.seal.mails[-1].command("RCPT"))
    assert len(world.seal.mails) == 5 and len(seen) == 1


def test_several_mails_in_a_session(world):
    with world.client() as client:
        assert letter(client, queue_id="4A").verdict == "discard"
        client.mail(CLERK, **client.login)  # RSET
        client.rcpt(f"{OLA}@{DOMAIN}")
        client.abort()
        client.abort()
        world.seal.answers["."] = "452 4.3.1 full"
        reply = letter(client, to=(OLA,), queue_id="4B")
        assert (reply.code, reply.text[:5]) == (451, "4.3.0")
        world.seal.answers.clear()
        assert letter(client, to=(KARI, OLA), queue_id="4C").verdict == "discard"
        assert letter(client, queue_id="4D").verdict == "discard"
    assert [m.commands[0][-2:] for m in world.seal.mails] == ["4A", "4B", "4C", "4C", "4D"]


@pytest.mark.parametrize("name, kwargs, number, code, text", [
    ("bad number", {}, "01819090014", 550, "5.1.3"),
    ("nobody known", {"login": None}, KARI, 550, "5.7.1"),
    ("wrong login", {"login": "per"}, KARI, 550, "5.7.1"),
    ("no TLS", {"login": None, "address": "192.0.2.7", "tls": False}, KARI, 550, "5.7.10"),
])
def test_refused_at_rcpt(world, name, kwargs, number, code, text):
    with world.client(**kwargs) as client:
        assert client.mail(CLERK, **client.login).verdict == "continue"
        reply = client.rcpt(f"{number}@{DOMAIN}")
        assert reply.code == code and reply.text.startswith(text + " ")
        assert number not in reply.text
    assert number not in world.milter.text()


@pytest.mark.parametrize("sender", ["kari@annen.example", ""])
def test_sender_refused(world, sender):
    with world.client() as client:
        client.mail(sender, **client.login)
        assert client.rcpt(f"{KARI}@{DOMAIN}").code == 550


def test_mixed(world):
    with world.client() as client:
        client.mail(CLERK, **client.login)
        client.rcpt(f"{KARI}@{DOMAIN}")
        reply = client.rcpt("kari@privat.example")
        assert reply.code == 550 and reply.text.startswith("5.7.1")
        assert client.data(i="4X").code == 550
    assert not world.seal.mails and not world.mail.mails


def test_no_way_says_who_by_position_only(world):
    with world.client() as client:
        reply = letter(client, to=(KARI, RITA))
    assert reply.code == 550 and re.match(r"5\.3\.3 Recipient 2: ", reply.text)
    assert not world.seal.mails


@pytest.mark.parametrize("headers, code, words", [
    ([("Brevdue-Kind", "urgent")], 550, "Brevdue-Kind"),
    ([("Brevdue-Nonsense", "x")], 550, "5.6.0"),
    ([("Brevdue-Public-Title", "Se https://etat.example")], 550, "Brevdue-Public-Title"),
    ([("In-Reply-To", "<0@x.example>")], 550, "5.6.0"),
    ([("X-Long", "x" * 40000)], 550, "5.6.0"),
    ([("From", "other@etat.example")], 550, "5.6.0"),
])
def test_refused_for_its_content(world, headers, code, words):
    with world.client() as client:
        reply = letter(client, headers=HEADERS + headers)
    assert reply.code == code and words in reply.text
    assert not world.seal.mails


def test_options_are_taken(world):
    headers = HEADERS + [("Brevdue-Kind", "service"), ("Brevdue-Language", "nn"), ("Brevdue-Repeat", "0, 3"),
                         ("Brevdue-Security-Level", "3")]
    with world.client() as client:
        assert letter(client, headers=headers).verdict == "discard"


def test_ordinary_mail_is_handed_on(world):
    with world.client(login=None, tls=False) as client:
        client.mail("ola@x.example", "SIZE=100", "BODY=8BITMIME")
        assert client.rcpt("a@b.example", "NOTIFY=NEVER").verdict == "continue"
        assert client.content([("Subject", "hei")], b".a\r\nb\r\n", 1, "4O").verdict == "continue"
        assert client.end().verdict == "discard"
        world.mail.answers["RCPT"] = "550 5.1.1 100% unknown"
        client.mail("ola@x.example")
        assert client.rcpt("b@b.example").verdict == "continue"
        assert client.content([("Subject", "hei")], b"a\r\n", 1, "4P").verdict == "continue"
        reply = client.end()
        assert (reply.code, reply.text) == (550, "5.1.1 100%% unknown")  # the MTA undoes the doubling
    (mail,) = world.mail.mails
    assert mail.command("MAIL") == "MAIL FROM:<ola@x.example> SIZE=100 BODY=8BITMIME"
    assert mail.command("RCPT") == "RCPT TO:<a@b.example> NOTIFY=NEVER"
    assert mail.content.startswith(b"Received: from client.example (client.example [127.0.0.1])")
    assert mail.content.endswith(b"\r\nSubject: hei\r\n\r\n.a\r\nb\r\n")
    assert not world.seal.mails


def test_register_down_then_back(world):
    world.lookup.stop()
    try:
        with world.client() as client:
            client.mail(CLERK, **client.login)
            reply = client.rcpt(f"{KARI}@{DOMAIN}")
            assert reply.code == 451 and reply.text.startswith("4.4.3")
    finally:
        world.lookup.start()
    with world.client() as client:
        assert letter(client).verdict == "discard"
    assert len(world.seal.mails) == 1


def test_the_mta_is_told_to_wait(world):
    with world.client() as client:
        client.mail(CLERK, **client.login)
        client.rcpt(f"{KARI}@{DOMAIN}")
        os.kill(world.lookup.process.pid, signal.SIGSTOP)
        try:
            assert client.content(HEADERS, BODY).verdict == "continue"
            client.send("E")
            for _ in range(3):
                assert client.receive()[0] == "p"
        finally:
            os.kill(world.lookup.process.pid, signal.SIGCONT)
        assert client.reply().verdict == "discard"


def test_many_at_once(world):
    def one(n):
        with world.client() as client:
            headers = [h for h in HEADERS if h[0] != "Message-ID"] + [("Message-ID", f"<{n}@etat.example>")]
            return [letter(client, to=(KARI, OLA), headers=headers, queue_id=f"4M{n}").verdict for _ in range(2)]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        verdicts = sum(pool.map(one, range(16)), [])
    assert verdicts == ["discard"] * 32
    assert len(world.seal.mails) == 64
    assert len({m.command("RCPT") for m in world.seal.mails}) == 32


@pytest.mark.parametrize("point, submitted", [
    ("milter.after-persons", 0), ("milter.after-read", 0), ("milter.before-submit", 0),
    ("milter.between-submissions", 1), ("milter.after-submit", 2),
])
def test_killed_before_its_verdict(world, point, submitted):
    """The MTA sees a milter that died (451 by milter_default_action); its retry sends the same
    letters under the same ids."""
    with world.failpoint(point):
        with pytest.raises(Gone):
            letter(world.client(), to=(KARI, OLA))
    children = world.milter.process.wait(10)
    assert children == -signal.SIGKILL
    first = [m.command("RCPT") for m in world.seal.mails]
    assert len(first) == submitted
    world.milter.start()
    with world.client() as client:
        assert letter(client, to=(KARI, OLA)).verdict == "discard"
    again = [m.command("RCPT") for m in world.seal.mails][submitted:]
    assert len(again) == 2 and again[:submitted] == first


def gone(pids):
    return all(not pathlib.Path(f"/proc/{pid}").exists() or
               " (zombie)" in pathlib.Path(f"/proc/{pid}/status").read_text() for pid in pids)


@pytest.mark.parametrize("sig, status", [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_children_end_with_the_milter(world, sig, status):
    with world.client() as client:
        assert letter(client).verdict == "discard"
    children = list(world.milter.children())
    assert len(children) >= 3  # fork server, signer, reader
    assert world.milter.stop(sig) == status
    wait_for("the children to end", lambda: gone(children))
    world.milter.start()  # a socket file left behind does not matter
    assert os.stat(world.socket).st_mode & 0o777 == 0o660
    assert os.stat(world.socket.parent).st_mode & 0o777 == 0o750
    second = subprocess.run(world.milter.argv, capture_output=True, text=True, timeout=30)
    assert second.returncode == 1 and "listens there already" in second.stderr  # a live one is not pushed aside
    with world.client() as client:
        assert letter(client).verdict == "discard"


def start_refused(world):
    """What a milter says that does not start; the running one goes first and is back afterwards."""
    world.milter.kill()
    try:
        done = subprocess.run(world.milter.argv, capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stderr
    finally:
        world.write_conf()
        world.milter.start()


def test_a_missing_reader_is_told_at_the_start(world):
    world.write_conf(reader=world.dir / "no-reader")
    status, said = start_refused(world)
    assert status != 0 and "no-reader: No such file" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it for another user")
def test_a_reader_that_the_user_may_not_reach_is_told_at_the_start(world):
    """A checkout in root's home folder, for instance."""
    closed = world.dir / "closed"
    closed.mkdir(mode=0o700)
    shutil.copy(find("brevdue-reader"), closed)
    world.write_conf(milter='user = "nobody"', reader=closed / "brevdue-reader")
    status, said = start_refused(world)
    assert status != 0 and "milter.reader: " in said and "every folder" in said


def test_a_reader_that_dies_three_times(world):
    reader = world.dir / "dying-reader"
    reader.write_text("#!/bin/sh\nexit 1\n")
    reader.chmod(0o755)
    world.write_conf(reader=reader)
    try:
        world.reload()
        with world.client() as client:
            codes = [letter(client).code for _ in range(3)]
            assert codes == [451, 451, 554]
    finally:
        world.write_conf()
        world.reload()


def test_pass_leaves_ordinary_mail_alone_at_once(world):
    world.write_conf(ordinary="pass")
    try:
        world.reload()
        with world.client() as client:
            client.mail("ola@x.example")
            assert client.rcpt("a@b.example").verdict == "continue"
            assert client.data(i="4P").verdict == "accept"
    finally:
        world.write_conf()
        world.reload()


def test_memory_limit_is_shared(world):
    world.write_conf(milter="memory = 1M message-size = 1M")
    try:
        world.reload()
        with world.client() as one, world.client() as two:
            one.mail(CLERK, **one.login)
            one.rcpt(f"{KARI}@{DOMAIN}")
            assert one.content(HEADERS, (b"x" * 76 + b"\r\n") * 10000).verdict == "continue"
            reply = letter(two, body=(b"y" * 76 + b"\r\n") * 5000)
            assert reply.code == 451 and reply.text.startswith("4.3.1")
            one.abort()
            assert letter(two).verdict == "discard"
    finally:
        world.write_conf()
        world.reload()


def test_log_names_nobody(world):
    for number in (KARI, OLA, RITA):
        assert number not in world.milter.text()
    assert MARKER not in world.milter.text() and "@" not in world.milter.text()
