# SPDX-License-Identifier: Apache-2.0
"""The whole running system as one object: two private Postfix instances, the three daemons under
their users, the sandbox and the embedded register, in one temporary folder on free ports.

    with Stack(build) as stack:
        stack.send(to=[...], text="...")
        stack.wait_letters(1)

The demo and the Postfix and fault suites use it. It needs root (Postfix does) and touches nothing
outside its folder but the system users it makes. The configuration it writes is an ordinary
brevdue.conf and Postfix is set up by "brevdue setup postfix", as an operator would do it.
"""

import contextlib
import grp
import json
import os
import pathlib
import pwd
import re
import secrets
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from email.message import EmailMessage

ROOT = pathlib.Path(__file__).resolve().parents[2]
CITIZENS = "innbygger.eksempel.example"
AGENCY_DOMAIN = "eksempel.example"
CLERK = f"kari.saksbehandler@{AGENCY_DOMAIN}"
USERS = ("brevdue-milter", "brevdue-lookup", "brevdue-transport")
SUBMIT_GROUP = "brevdue-submit"
READY_SEC = 30

# Persons of the sandbox (sandbox/persons.json) that the suites write to.
KARI = "01819090013"  # digital, Digipost, fresh e-mail
OLA = "15906312309"  # digital, e-Boks, fresh mobile only
DAGNY = "41810120035"  # D-number, digital, e-Boks
OPTED_OUT = "02828510188"
DELETED = "04849510245"
UNKNOWN = "05856010386"
NOT_NOTIFIABLE = "06868810570"  # digital for service messages only
NO_MAILBOX = "08889110601"
EXPIRED_CERTIFICATE = "10905411018"
NEW_STATUS = "12927711085"  # a status nobody knows


class NotReady(AssertionError):
    """Something did not come up or did not happen in time; the text says what the logs say."""


def wait_for(what, condition, seconds=READY_SEC):
    """Waits until condition() is true and returns its value; 20 ms between tries."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise NotReady(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def age(path):
    """Postfix waits until a configuration file is a second old, in case somebody still writes it."""
    old = time.time() - 10
    os.utime(path, (old, old))


def free_port():
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def group_exists(name):
    try:
        grp.getgrnam(name)
        return True
    except KeyError:
        return False


def make_users():
    for name in USERS:
        try:
            pwd.getpwnam(name)
        except KeyError:
            subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", "--home-dir",
                            "/nonexistent", "--shell", "/usr/sbin/nologin", name], check=True)
    # Made here and not by the set-up, whose undo would take it from a stack beside this one.
    members = grp.getgrnam(SUBMIT_GROUP).gr_mem if group_exists(SUBMIT_GROUP) else None
    if members is None:
        subprocess.run(["groupadd", "--system", SUBMIT_GROUP], check=True)
    for name in (USERS[0], USERS[2]):
        if name not in (members or ()):
            subprocess.run(["gpasswd", "-a", name, SUBMIT_GROUP], check=True, capture_output=True)


class Daemon:
    """One program in the foreground with its log in a file; ready when it says so."""

    def __init__(self, name, argv, log, env=None):
        self.name, self.argv, self.log, self.env = name, [str(a) for a in argv], log, env or {}
        self.process = None

    def start(self, wait=True):
        assert self.process is None or self.process.poll() is not None, f"{self.name} runs already"
        self.seen = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env={**os.environ, **self.env}, start_new_session=True)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise NotReady(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
            with open(self.log, "rb") as f:
                f.seek(self.seen)
                return re.search(rb"\bready\b", f.read())

        wait_for(f"{self.name} to be ready", ready)

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def tail(self, lines=15):
        return "\n".join(self.text().splitlines()[-lines:])

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, sig=signal.SIGTERM):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise NotReady(f"{self.name} did not end on {sig!r}") from None
        # a reader may not write files, so what its sanitizers say stands in its milter's log
        assert "Sanitizer:" not in self.text() and "runtime error:" not in self.text(), self.text()
        return self.process.returncode

    def kill(self):
        self.stop(signal.SIGKILL)

    def restart(self):
        self.stop()
        self.start()

    def children(self):
        """pid -> command name of all descendants."""
        found, todo = {}, [self.process.pid]
        while todo:
            pid = todo.pop()
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                    for child in (task / "children").read_text().split():
                        found[int(child)] = pathlib.Path(f"/proc/{child}/comm").read_text().strip()
                        todo.append(int(child))
        return found


class Postfix:
    """One private instance."""

    def __init__(self, name, config, queue, log):
        self.name, self.config, self.queue, self.log = name, config, queue, log

    def command(self, *argv, check=True, **kwargs):
        return subprocess.run([str(a) for a in argv], check=check, text=True, errors="replace", timeout=60,
                              capture_output=True, stdin=subprocess.DEVNULL if "input" not in kwargs else None,
                              **kwargs)

    def postfix(self, verb, check=True):
        return self.command("postfix", "-c", self.config, verb, check=check)

    def start(self):
        started = self.postfix("start", check=False)
        if started.returncode != 0:
            raise NotReady(f"postfix {self.name} did not start:\n{started.stderr}\n{self.tail()}")

    def running(self):
        """Looks at the master's process: "postfix status" of the front logs, and that waits for ever
        when nobody reads the log's FIFO."""
        try:
            pid = int((self.queue / "pid/master.pid").read_text())
            return pathlib.Path(f"/proc/{pid}/comm").read_text() == "master\n"
        except (OSError, ValueError):
            return False

    def stop(self):
        if self.running():
            self.postfix("stop", check=False)
        wait_for(f"postfix {self.name} to stop", lambda: not self.running())

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def tail(self, lines=15):
        return "\n".join(self.text().splitlines()[-lines:])

    def queued(self):
        """What postqueue -j says, a dictionary per message."""
        out = self.command("postqueue", "-c", self.config, "-j").stdout
        return [json.loads(line) for line in out.splitlines()]

    def flush(self):
        self.command("postqueue", "-c", self.config, "-f")

    def wake(self, service):
        """Has a service look at its queue now (master(8): a byte on its socket or FIFO)."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.queue / "public" / service))
            s.sendall(b"W")

    def postcat(self, queue_id):
        return self.command("postcat", "-c", self.config, "-q", queue_id).stdout

    def raw_files(self):
        """Bytes of every file below the queue folder."""
        found = {}
        for path in self.queue.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    found[path] = path.read_bytes()
        return found


class Sandbox(Daemon):
    def __init__(self, program, folder, port, log):
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        super().__init__("sandbox", [program, "--dir", folder, "--listen", f"127.0.0.1:{port}"], log)

    def ask(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method,
                                         headers={"Content-Type": "application/json"} if data else {})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def letters(self):
        listed = json.loads(self.ask("/sandbox/letters") or b"[]")
        return listed["letters"] if isinstance(listed, dict) else listed

    def faults(self, **switches):
        self.ask("/sandbox/faults", switches)


class Stack:
    """See the module's text. overrides: section -> extra lines of brevdue.conf. first: the gateway
    whose register, sending instance and transport a second gateway shares. front_services: more
    lines of the front's master.cf."""

    def __init__(self, build, folder=None, overrides=None, persons=None, first=None, front_services=()):
        self.build = pathlib.Path(build).resolve()
        self.own_folder = folder is None
        self.dir = pathlib.Path(folder or tempfile.mkdtemp(prefix="bd-", dir="/tmp"))
        self.dir.chmod(0o755)
        self.overrides = overrides or {}
        self.shared = first.dir if first else self.dir
        self.persons = persons
        self.conf = self.dir / "etc/brevdue.conf"
        self.failpoints = self.dir / "failpoints"
        self.port, self.sandbox_port = free_port(), free_port()
        self.port_elsewhere = free_port()  # there a client may say by XCLIENT where it comes from
        self.services = [f"127.0.0.1:{self.port_elsewhere} inet n - y - - smtpd -o smtpd_milters=unix:brevdue/milter "
                         "-o smtpd_reject_unlisted_recipient=no -o smtpd_authorized_xclient_hosts=127.0.0.1",
                         *front_services]
        self.tmpfs = "1G"  # a limit, not a reservation
        log = self.dir / "log"
        self.front = Postfix("front", self.dir / "front/etc", self.dir / "front/queue", log / "front.log")
        self.sending = Postfix("send", self.dir / "send/etc", self.dir / "send/queue", log / "send.log")
        self.sandbox = Sandbox(self.build / "brevdue-sandbox", self.dir / "sandbox", self.sandbox_port,
                               log / "sandbox.log")
        if persons:
            self.sandbox.argv += ["--persons", str(persons)]
        env = {"BREVDUE_FAILPOINT": str(self.failpoints)}
        self.lookup, self.transport, self.milter = (
            Daemon(name, [self.build / f"brevdue-{name}", "-c", self.conf], log / f"{name}.log", env)
            for name in ("lookup", "transport", "milter"))
        self.logmask = Daemon("logmask", [self.build / "brevdue", "-c", self.conf, "logmask"],
                              log / "logmask.log")

    def reader(self):
        """The reader where the milter's user can run it: the checkout may lie in root's home folder."""
        built = self.build / "reader/brevdue-reader"
        if not built.exists() or all(p.stat().st_mode & 0o001 for p in (built, *built.parents)):
            return built
        return pathlib.Path(shutil.copy(built, self.dir / "brevdue-reader"))

    # -- making it -----------------------------------------------------------------------------

    def configuration(self):
        """The text of brevdue.conf."""
        d, shared, sandbox = self.dir, self.shared, self.sandbox.folder
        extra = {name: "\n\t".join(lines) for name, lines in self.overrides.items()}
        get = lambda name: extra.get(name, "")  # noqa: E731
        return f"""# made by tests/lib/stack.py
log = stderr
secret = "{d}/etc/secret"
national-numbers = synthetic
trust = "{sandbox}/trust.pem"
{get("")}

seal-key "2026-11" {{
	file = "{d}/etc/seal-2026-11"
}}

agency "eksempel" {{
	orgnr = 123456785
	display-name = "Eksempel kommune"
	certificate = "{sandbox}/agency.pem"
	key = "{sandbox}/agency.key"
	public-title = "Brev fra Eksempel kommune"
	archive = none
	client-id = "{self.client_id()}"
	{get("agency")}
	sender "@{AGENCY_DOMAIN}" {{
		kinds = {{ important, service }}
	}}
}}

domain "{CITIZENS}" {{
	{get("domain")}
}}

client "fagsystem" {{
	networks = {{ "127.0.0.1/32", "192.0.2.0/24" }}
	agencies = {{ "eksempel" }}
	{get("client")}
}}
{get("more")}

milter {{
	user = "brevdue-milter"
	socket = "{d}/front/queue/brevdue/milter"
	reader = "{self.reader()}"
	submit-seal = "{shared}/send/queue/public/seal"
	submit-mail = "{shared}/send/queue/public/mail"
	{get("milter")}
}}

lookup {{
	user = "brevdue-lookup"
	users = {{ "brevdue-milter", "brevdue-transport" }}
	socket = "{shared}/run/lookup/lookup"
	socket-group = "{SUBMIT_GROUP}"
	control = "{shared}/run/lookup/control"
	database = "{shared}/db/lookup"
	{get("lookup")}
}}

transport {{
	user = "brevdue-transport"
	socket = "{d}/send/queue/brevdue/lmtp"
	control = "{d}/run/transport/control"
	database = "{d}/db/transport"
	report-service = "{d}/send/queue/public/report"
	providers = {{ 984661185, 922020175 }}
	{get("transport")}
}}

access-point {{
	url = "{self.sandbox.url}/dpi"
	insecure-loopback = yes
	{get("access-point")}
}}

maskinporten {{
	token-url = "{self.sandbox.url}/token"
	audience = "{self.sandbox.url}/"
	insecure-loopback = yes
}}

postfix {{
	front-config = "{self.front.config}"
	front-queue = "{self.front.queue}"
	front-data = "{d}/front/data"
	front-listen = "127.0.0.1:{self.port}"
	front-log = "{self.front.log}"
	front-certificate = "{d}/etc/smtp.pem"
	front-key = "{d}/etc/smtp.key"
	front-tmpfs = {self.tmpfs}
	front-services = {{ {", ".join(f'"{line}"' for line in self.services)} }}
	send-config = "{self.sending.config}"
	send-queue = "{self.sending.queue}"
	send-data = "{d}/send/data"
	send-log = "{self.sending.log}"
	{get("postfix")}
}}
"""

    def client_id(self):
        return "00000000-0000-4000-8000-000000000001"

    def brevdue(self, *argv, check=True, **kwargs):
        return subprocess.run([str(self.build / "brevdue"), "-c", str(self.conf), *map(str, argv)],
                              check=check, text=True, capture_output=True, errors="replace", **kwargs)

    def make(self):
        make_users()
        for name in ("etc", "log", "run", "front", "send"):
            (self.dir / name).mkdir(exist_ok=True)
        for name in ("secret", "seal-2026-11"):
            path = self.dir / "etc" / name
            if not path.exists():
                path.write_bytes(secrets.token_bytes(32))
                path.chmod(0o600)
        if not (self.dir / "etc/smtp.key").exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                            "-subj", "/CN=smtp.eksempel.example",
                            "-addext", "subjectAltName=DNS:smtp.eksempel.example,IP:127.0.0.1",
                            "-keyout", self.dir / "etc/smtp.key", "-out", self.dir / "etc/smtp.pem"],
                           check=True, capture_output=True)
        self.conf.write_text(self.configuration(), encoding="utf-8")
        self.setup_postfix()

    def setup_postfix(self):
        done = self.brevdue("setup", "postfix", "--yes", "--mount", check=False)
        if done.returncode != 0:
            raise NotReady(f"brevdue setup postfix failed:\n{done.stdout}\n{done.stderr}")
        for part in (self.front, self.sending):
            age(part.config / "main.cf")

    def start(self):
        for name in ("etc", "log", "run", "front", "send"):
            (self.dir / name).mkdir(exist_ok=True)
        self.sandbox.start()
        self.make()
        self.lookup.start()
        self.brevdue("registry", "import", self.sandbox.folder / "persons.json")
        self.transport.start()
        self.sending.start()
        self.milter.start()
        self.logmask.start()
        self.front.start()
        self.wait_smtp()
        return self

    def second_gateway(self):
        """A second front instance and milter with the same secret and seal key, started."""
        folder = self.dir / "two"
        for name in ("etc", "log", "run", "db", "front", "send"):
            (folder / name).mkdir(parents=True)
        for name in ("secret", "seal-2026-11"):
            shutil.copy2(self.dir / "etc" / name, folder / "etc" / name)
        other = Stack(self.build, folder=folder, first=self, overrides=self.overrides)
        other.sandbox = self.sandbox
        other.make()
        for part in (other.milter, other.logmask, other.front):
            part.start()
        other.wait_smtp()
        return other

    def stop_second(self):
        """Stops what second_gateway started."""
        for part in (self.front, self.milter, self.logmask):
            part.stop()
        self.undo_postfix()
        shutil.rmtree(self.dir, ignore_errors=True)

    def wait_smtp(self):
        def answers():
            with contextlib.suppress(OSError), \
                    socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
                return s.recv(100).startswith(b"220")
            return False

        wait_for("the front instance's banner", answers)

    def stop(self):
        for part in (self.front, self.sending):
            if part.config.exists():
                part.stop()
        for daemon in (self.logmask, self.milter, self.transport, self.lookup, self.sandbox):
            daemon.stop()
        if self.conf.exists() and self.front.config.exists():
            self.undo_postfix()
        if self.own_folder:
            shutil.rmtree(self.dir, ignore_errors=True)

    def undo_postfix(self):
        """Takes the set-up back; what a test or demo left in the queues goes first, for the set-up stays
        while messages wait."""
        for part in (self.front, self.sending):
            for name in ("active", "corrupt", "deferred", "hold", "incoming", "maildrop"):
                shutil.rmtree(part.queue / name, ignore_errors=True)
        undone = self.brevdue("setup", "postfix", "--undo", "--yes", check=False)
        if undone.returncode != 0:
            raise NotReady(f"brevdue setup postfix --undo failed:\n{undone.stderr}")

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(self.tails())
        self.stop()

    def tails(self):
        parts = (self.front, self.sending, self.milter, self.lookup, self.transport, self.sandbox)
        return "\n".join(f"--- {p.name}\n{p.tail()}" for p in parts)

    # -- using it ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def failpoint(self, point, action="kill"):
        """A daemon that comes to the point does the action once (wait: until this block ends)."""
        self.failpoints.write_text(f"{point} {action}\n")
        self.failpoints.chmod(0o666)
        try:
            yield
        finally:
            self.failpoints.write_text("")

    def smtp(self, tls=True, source="127.0.0.1", helo="klient.eksempel.example", timeout=120, address=None, port=None):
        """A connection like a mail client's; the caller closes it. address: comes from there (XCLIENT)."""
        port = port or (self.port_elsewhere if address else self.port)
        client = smtplib.SMTP("127.0.0.1", port, local_hostname=helo, timeout=timeout,
                              source_address=(source, 0))
        client.ehlo()
        if address:
            assert client.docmd("XCLIENT", f"ADDR={address} NAME={helo}")[0] == 220
            client.ehlo()
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            client.starttls(context=context)
            client.ehlo()
        return client

    def send(self, to, message=None, sender=CLERK, tls=True, source="127.0.0.1", mail_options=(),
             rcpt_options=(), address=None, **content):
        """Hands a mail in and returns (code, text) of the last answer, without raising."""
        message = message if message is not None else mail(to=to, **content)
        client = self.smtp(tls=tls, source=source, address=address)
        try:
            answer = client.mail(sender, list(mail_options))
            if answer[0] != 250:
                return answer[0], answer[1].decode()
            for address in [to] if isinstance(to, str) else to:
                answer = client.rcpt(address, list(rcpt_options))
                if answer[0] not in (250, 251):
                    return answer[0], answer[1].decode()
            answer = client.data(wire(message))
            return answer[0], answer[1].decode()
        except smtplib.SMTPDataError as refused:
            return refused.smtp_code, refused.smtp_error.decode()
        except smtplib.SMTPServerDisconnected as gone:
            return 0, str(gone)
        finally:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                client.quit()

    def letters(self):
        return self.sandbox.letters()

    def wait_letters(self, count, seconds=60):
        """Waits until exactly count letters lie in the sandbox's mailboxes and the sending queue is
        empty."""
        def there():
            letters = self.letters()
            assert len(letters) <= count, f"{len(letters)} letters, {count} expected"
            return letters if len(letters) == count and not self.sending.queued() else None

        return wait_for(f"{count} letters in the mailboxes", there, seconds) if count else there() or []

    def titled(self, title):
        """The letters in the mailboxes whose main document has this title."""
        return [x for x in self.letters() if x["documents"] and x["documents"][0]["title"] == title]

    def wait_titled(self, title, count=1, seconds=60):
        """Waits until the sending queue is empty, then expects exactly count letters of the title. Deferred
        messages are tried again, as a queue run would."""
        def settled():
            queued = self.sending.queued()
            if any(m["queue_name"] == "deferred" for m in queued):
                self.sending.flush()
            return len(self.titled(title)) >= count and not queued

        wait_for(f"{count} letters titled {title!r}", settled, seconds)
        letters = self.titled(title)
        assert len(letters) == count, f"{len(letters)} letters titled {title!r}, {count} expected"
        return letters

    def document(self, letter, n):
        return self.sandbox.ask(f"/sandbox/letters/{letter['id']}/documents/{n}")

    def settle(self):
        """Waits until nothing is queued anywhere."""
        wait_for("both queues to be empty", lambda: not self.front.queued() and not self.sending.queued())


def wire(message):
    """A mail as bytes with CRLF line ends."""
    raw = message if isinstance(message, bytes) else message.as_bytes()
    return re.sub(rb"\r?\n", b"\r\n", raw)


def citizen(number=KARI, options="", name=""):
    return f"{name + '.' if name else ''}{number}{options}@{CITIZENS}"


def mail(to, subject="Vedtak i saken din", text="Hei.\n\nHer er vedtaket.\n", attachments=(), cc=(),
         headers=(), sender=CLERK, message_id=None):
    """A mail as a stock client makes it. attachments: (file name, maintype/subtype, bytes)."""
    message = EmailMessage()
    message["From"] = f"Kari Saksbehandler <{sender}>"
    message["To"] = ", ".join([to] if isinstance(to, str) else to)
    if cc:
        message["Cc"] = ", ".join(cc)
    message["Subject"] = subject
    message["Date"] = "Mon, 23 Nov 2026 12:00:00 +0100"
    message["Message-ID"] = message_id or f"<{secrets.token_hex(12)}@{AGENCY_DOMAIN}>"
    for name, value in headers:
        message[name] = value
    message.set_content(text, cte="8bit" if not text.isascii() else None)
    for name, kind, data in attachments:
        main, sub = kind.split("/")
        message.add_attachment(data, maintype=main, subtype=sub, filename=name)
    return message
