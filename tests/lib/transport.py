# SPDX-License-Identifier: Apache-2.0
"""brevdue-transport under test: makes sealed messages (with openssl, not with our own code), runs
the daemon in a folder of its own, speaks LMTP to it."""

import base64
import grp
import hashlib
import json
import os
import pathlib
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from accesspoint import AccessPoint
from stack import Daemon, make_users, wait_for

PROVIDER, OTHER_PROVIDER = "984661185", "922020175"
AGENCY, ORGNR = "eksempel", "123456785"
PERSON = "01819090013"
MAILBOX = "kari.test#1ABC"
TITLE = "Vedtak om noe hemmelig"
FINGERPRINT = "ab" * 32


def openssl(*argv, data=None):
    return subprocess.run(["openssl", *[str(a) for a in argv]], input=data, check=True,
                          capture_output=True).stdout


class Lmtp:
    """A client that shows each reply and hides nothing."""

    def __init__(self, path, seconds=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()

    def reply(self):
        """Code and text of one reply; None when the connection was cut."""
        lines = []
        while True:
            line = self.file.readline().decode()
            if not line.endswith("\r\n"):
                return None
            lines.append(line[4:].rstrip())
            if line[3] != "-":
                return int(line[:3]), "\n".join(lines)

    def write(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def say(self, line):
        self.write(line + "\r\n")
        return self.reply()

    def begin(self, sender, recipients):
        assert self.say("LHLO test")[0] == 250
        assert self.say(f"MAIL FROM:<{sender}>")[0] == 250
        return [self.say(f"RCPT TO:<{r}>") for r in recipients]

    def data(self, message):
        assert self.say("DATA")[0] == 354
        self.write(b"".join(b"." + line if line.startswith(b".") else line
                            for line in message.splitlines(keepends=True)) + b".\r\n")

    def send(self, sender, recipients, message):
        """The replies to DATA, one for each accepted recipient; None where the connection ended."""
        accepted = [r for r in self.begin(sender, recipients) if r[0] == 250]
        if not accepted:
            return []
        self.data(message)
        replies = []
        for _ in accepted:
            replies.append(self.reply())
            if replies[-1] is None:
                break
        return replies

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class FakeLookup:
    """The lookup daemon's map "decision"; answer is what it says, None cuts the connection."""

    def __init__(self, path):
        self.answer, self.questions = None, []
        self.socket = socket.socket(socket.AF_UNIX)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.socket.bind(str(path))
        path.chmod(0o777)
        self.socket.listen(10)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            with s, s.makefile("rb") as f:
                length = b""
                while (c := f.read(1)) not in (b":", b""):
                    length += c
                if not length:
                    continue
                self.questions.append(f.read(int(length) + 1)[:-1].decode())
                if self.answer is not None:
                    text = f"OK {json.dumps(self.answer)}".encode()
                    s.sendall(b"%d:%s," % (len(text), text))

    def close(self):
        self.socket.close()


class Transport(Daemon):
    """The daemon with all it needs. driver "dpi" comes with a scripted access point."""

    def __init__(self, build, driver="dpi", more="", failpoints=True):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bd-transport-", dir="/tmp"))
        self.dir.chmod(0o755)
        self.point = AccessPoint()
        if os.geteuid() == 0:
            make_users()
            self.user = pwd.getpwnam("brevdue-transport")
        else:
            self.user = pwd.getpwuid(os.geteuid())
        self.lmtp, self.control = self.dir / "run/lmtp", self.dir / "run/control"
        self.points = self.dir / "failpoints"
        (self.dir / "db").mkdir()
        self.lookup = FakeLookup(self.dir / "look/lookup")
        self.make_keys()
        self.conf = self.dir / "brevdue.conf"
        self.conf.write_text(self.configuration(driver, more))
        if os.geteuid() == 0:
            for path in (self.dir, self.dir / "db"):
                shutil.chown(path, self.user.pw_uid, self.user.pw_gid)
        env = {"BREVDUE_FAILPOINT": str(self.points)} if failpoints else {}
        super().__init__("transport", [pathlib.Path(build) / "brevdue-transport", "-c", self.conf],
                         self.dir / "log", env)

    def make_keys(self):
        d = self.dir
        for name in ("secret", "seal-2026-11"):
            (d / name).write_bytes(secrets.token_bytes(32))
            (d / name).chmod(0o600)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj",
                f"/C=NO/O=Eksempel/CN=Eksempel/serialNumber={ORGNR}", "-addext",
                "keyUsage=critical,digitalSignature", "-keyout", d / "agency.key", "-out", d / "agency.pem")
        (d / "agency.key").chmod(0o600)
        self.signer = hashlib.sha256(openssl("x509", "-in", d / "agency.pem", "-outform", "DER")).hexdigest()

    def configuration(self, driver, more):
        d, group = self.dir, grp.getgrgid(self.user.pw_gid).gr_name
        return f"""
log = stderr
secret = "{d}/secret"
national-numbers = synthetic
trust = "{d}/agency.pem"
seal-key "2026-11" {{ file = "{d}/seal-2026-11" }}
agency "{AGENCY}" {{
	orgnr = {ORGNR}
	display-name = "Eksempel kommune"
	certificate = "{d}/agency.pem"
	key = "{d}/agency.key"
	public-title = "Brev fra Eksempel kommune"
	archive = none
	client-id = "client-1"
	sender "@eksempel.example" {{ kinds = {{ important, service }} }}
}}
domain "innbygger.eksempel.example" {{
}}
client "fagsystem" {{
	networks = {{ "127.0.0.1/32" }}
	agencies = {{ "{AGENCY}" }}
}}
lookup {{ socket = "{self.lookup_path()}" }}
transport {{
	user = "{self.user.pw_name}"
	socket = "{self.lmtp}"
	socket-group = "{group}"
	control = "{self.control}"
	database = "{d}/db/records"
	driver = {driver}
	{more}
}}
access-point {{
	url = "{self.point.url}/dpi"
	channel = "gw1"
	insecure-loopback = yes
	total-timeout = 10s
}}
maskinporten {{
	token-url = "{self.point.url}/token"
	audience = "{self.point.url}/"
	insecure-loopback = yes
}}
"""

    def lookup_path(self):
        return self.dir / "look/lookup"

    def destroy(self):
        self.stop()
        self.point.close()
        self.lookup.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.destroy()

    def fail_at(self, *lines):
        self.points.write_text("".join(line + "\n" for line in lines))
        self.points.chmod(0o666)

    # -- sealed messages -----------------------------------------------------------------------

    def letter_id(self):
        return secrets.token_hex(16)

    def record(self, letter_id, package, **changes):
        record = {
            "version": 1, "letter_id": letter_id, "mail_id": "mail-" + letter_id[:8], "index": 1,
            "count": 1, "route": "digital", "agency": AGENCY, "orgnr": ORGNR, "kind": "important",
            "title": TITLE, "public_title": "Brev fra Eksempel kommune", "language": "nb",
            "security_level": 4, "open_receipt": False, "wants_delivery": False, "repeats": [0, 7],
            "notice_email_text": "Du har post", "signer": self.signer,
            "addressees": [{"national_id": PERSON, "mailbox": MAILBOX, "provider": PROVIDER,
                            "certificate": FINGERPRINT, "notice_email": "kari@example.no"}],
            "documents": [{"href": "main.pdf", "mime": "application/pdf", "size": 3, "sha256": "00" * 32}],
            "package_sha256": hashlib.sha256(package).hexdigest(), "package_size": len(package),
            "mail_from": "clerk@eksempel.example", "message_id": "<1@eksempel.example>",
            "front_queue_id": "FRONT123", "sealed_at": int(time.time()),
        }
        record.update(changes)
        return record

    def seal(self, record, package, key=None, key_id=b"2026-11", cipher="-aes-256-gcm"):
        key = key if key is not None else (self.dir / "seal-2026-11").read_bytes()
        der = openssl("cms", "-encrypt", "-binary", cipher, "-secretkey", key.hex(), "-secretkeyid",
                      key_id.hex(), "-outform", "DER", data=json.dumps(record).encode())
        return self.wrap(der, package)

    @staticmethod
    def wrap(der, package):
        def lines(data):
            text = base64.b64encode(data).decode()
            return "".join(text[i:i + 76] + "\r\n" for i in range(0, len(text), 76))

        return ("Received: from mx (unknown [unix:x])\r\n"
                "\tby mx (Postfix) with ESMTP id QUEUE123\r\n\tfor <x>; Mon, 1 Jan 2030 00:00:00 +0000\r\n"
                "Date: Mon, 1 Jan 2030 00:00:00 +0000\r\nSubject: Sealed letter\r\nMIME-Version: 1.0\r\n"
                'Content-Type: multipart/mixed; boundary="brevdue-sealed"\r\n\r\n--brevdue-sealed\r\n'
                "Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data; "
                'name="control.p7m"\r\nContent-Transfer-Encoding: base64\r\n\r\n' + lines(der) +
                '--brevdue-sealed\r\nContent-Type: application/cms; name="package.p7m"\r\n'
                "Content-Transfer-Encoding: base64\r\n\r\n" + lines(package) +
                "--brevdue-sealed--\r\n").encode()

    def message(self, letter_id, package=None, **changes):
        package = package if package is not None else secrets.token_bytes(600)
        return self.seal(self.record(letter_id, package, **changes), package)

    # -- speaking ------------------------------------------------------------------------------

    def client(self, seconds=60):
        return Lmtp(self.lmtp, seconds)

    @staticmethod
    def address(letter_id, provider=PROVIDER):
        return f"{letter_id}@{provider}.digital.brevdue.invalid"

    def deliver(self, letter_id, message, provider=PROVIDER):
        """The one reply; None when the connection was cut."""
        with self.client() as c:
            return c.send(f"{letter_id}@report.brevdue.invalid", [self.address(letter_id, provider)],
                          message)[0]

    def notice(self, letter_id, action, status):
        message = (f"From: MAILER-DAEMON@mx\r\nTo: {letter_id}@report.brevdue.invalid\r\nMIME-Version: 1.0\r\n"
                   'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="B/1"\r\n\r\n'
                   "--B/1\r\nContent-Type: text/plain\r\n\r\nwords\r\n\r\n--B/1\r\n"
                   "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
                   f"Final-Recipient: rfc822; {self.address(letter_id)}\r\nAction: {action}\r\n"
                   f"Status: {status}\r\n\r\n--B/1--\r\n").encode()
        with self.client() as c:
            return c.send("", [f"{letter_id}@report.brevdue.invalid"], message)[0]

    def ask(self, verb, **arguments):
        """The answers of the control socket; the last one holds done or error."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(self.control))
            s.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
            with s.makefile("rb") as f:
                return [json.loads(line) for line in f]

    def events(self, letter_id):
        return [a for a in self.ask("letter", id=letter_id) if "kind" in a]

    def kinds(self, letter_id):
        return [e["kind"] for e in self.events(letter_id)]

    def state(self, letter_id):
        return next(a for a in self.ask("letter", id=letter_id) if "state" in a)["state"]

    def wait_event(self, letter_id, kind):
        wait_for(f"{kind} of {letter_id}", lambda: kind in self.kinds(letter_id), 20)

    def log_lines(self, *words):
        return [line for line in self.text().splitlines() if all(w in line for w in words)]

    def wait_dead(self):
        wait_for("the daemon to die", lambda: self.process.poll() is not None, 20)
        assert self.process.returncode == -signal.SIGKILL
