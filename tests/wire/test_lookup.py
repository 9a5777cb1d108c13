# SPDX-License-Identifier: Apache-2.0
"""The built brevdue-lookup, asked by the real postmap, by raw sockets and by the operator's command."""
import base64
import concurrent.futures
import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from stack import Daemon, NotReady

BUILD = pathlib.Path(os.environ.get("BREVDUE_BUILD", "build")).resolve()
PROGRAM, COMMAND = BUILD / "brevdue-lookup", BUILD / "brevdue"
ROOT = os.geteuid() == 0
FAILPOINTS = "#define BD_FAILPOINTS 1" in (BUILD / "config.h").read_text(encoding="utf-8")
KARI, DAGNY, NOBODY = "01819090013", "41810120035", "15906312309"
AGENCY = "eksempel"

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="brevdue-lookup is not built")


def synthetic():
    """Synthetic national numbers (month + 80) without end."""
    for n in range(10_000_000):
        base = f"{n // 36000 % 28 + 1:02}{n // 3000 % 12 + 81:02}{n // 1000 % 3 + 90:02}{n % 1000:03}"
        d = [int(c) for c in base]
        k1 = -sum(w * x for w, x in zip((3, 7, 6, 1, 8, 9, 4, 5, 2), d)) % 11
        k2 = -(sum(w * x for w, x in zip((5, 4, 3, 2, 7, 6, 5, 4, 3), d)) + 2 * k1) % 11
        if k1 < 10 and k2 < 10:
            yield f"{base}{k1}{k2}"


@pytest.fixture(scope="session")
def certificate():
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mailbox provider")])
    now = datetime.datetime.now(datetime.timezone.utc)
    return (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=2))
            .sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))


def person(number, certificate=b"", **more):
    """A complete person whose mailbox address names the number, so that a mix-up shows."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return {"personidentifikator": number, "reservasjon": "NEI", "status": "AKTIV",
            "varslingsstatus": "KAN_VARSLES",
            "kontaktinformasjon": {"epostadresse": f"p{number[:4]}@example.org",
                                   "epostadresse_oppdatert": now},
            "digital_post": {"postkasseadresse": f"box#{hashlib.sha256(number.encode()).hexdigest()[:12]}",
                             "postkasseleverandoeradresse": "984661185"},
            "sertifikat": base64.b64encode(certificate or b"certificate").decode(), **more}


def box_of(number):
    return person(number)["digital_post"]["postkasseadresse"]


class Lookup(Daemon):
    def __init__(self, folder):
        self.folder, self.socket, self.conf = folder, folder / "run/lookup", folder / "brevdue.conf"
        self.failpoint = folder / "failpoint"
        folder.chmod(0o755)
        for name in ("secret", "seal"):
            (folder / name).write_bytes(bytes(range(32)))
            (folder / name).chmod(0o600)
        (folder / "trust.pem").touch()
        self.user = "nobody" if ROOT else pwd.getpwuid(os.geteuid()).pw_name
        self.conf.write_text(f"""
secret = "{folder}/secret"
national-numbers = synthetic
trust = "{folder}/trust.pem"
operators = {{ "daemon" }}
seal-key "test" {{ file = "{folder}/seal" }}
agency "{AGENCY}" {{
	orgnr = 123456785
	display-name = "Eksempel kommune"
	certificate = "{folder}/none.pem"
	key = "{folder}/none.key"
	public-title = "Brev"
	archive = none
	sender "@eksempel.example" {{ }}
}}
domain "innbygger.eksempel.example" {{ }}
client "all" {{
	networks = {{ "127.0.0.0/8" }}
	agencies = {{ "{AGENCY}" }}
}}
lookup {{
	user = "{self.user}"
	socket = "{self.socket}"
	control = "{folder}/run/control"
	database = "{folder}/db/register"
	users = {{ "daemon" }}
}}
""", encoding="utf-8")
        (folder / "db").mkdir(mode=0o755)
        super().__init__("lookup", [PROGRAM, "-c", self.conf], folder / "log",
                         {"BREVDUE_FAILPOINT": str(self.failpoint)})

    def start(self, wait=True):
        super().start(wait)
        if wait and ROOT:  # let every user come as far as our own check
            for path in (self.folder / "run", self.socket, self.folder / "run/control"):
                path.chmod(path.stat().st_mode | (0o005 if path.is_dir() else 0o006))

    def brevdue(self, *argv, user=None, **kwargs):
        # a copy, for the checkout may lie where only root can go
        command = shutil.copy(COMMAND, self.folder / "brevdue") if user else COMMAND
        return subprocess.run([command, "-c", self.conf, *argv], text=True, capture_output=True,
                              user=user, timeout=60, check=False, **kwargs)

    def load(self, persons):
        path = self.folder / "persons.json"
        path.write_text(json.dumps({"personer": persons}), encoding="utf-8")
        path.chmod(0o600)  # not for the daemon's user
        done = self.brevdue("registry", "import", path)
        assert done.returncode == 0, done.stderr

    def postmap(self, key, table):
        done = subprocess.run(["postmap", "-q", key, f"socketmap:unix:{self.socket}:{table}"], text=True,
                              capture_output=True, check=False, timeout=30)
        assert done.stderr == "", done.stderr
        return done.stdout.strip() if done.returncode == 0 else None

    def connect(self):
        return Client(self.socket)


class Client:
    """A socketmap client that says exactly what it is told to."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.rest = b""

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        """The next answer, or None when the daemon has closed the connection."""
        while b":" not in self.rest or len(self.rest) < self.end():
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.rest += data
        start, end = self.rest.index(b":") + 1, self.end()
        text, self.rest = self.rest[start:end - 1], self.rest[end:]
        return text.decode()

    def end(self):
        length, _, _ = self.rest.partition(b":")
        return len(length) + 1 + int(length) + 1

    def ask(self, table, key):
        text = f"{table} {key}".encode()
        self.send(b"%d:%s," % (len(text), text))
        return self.answer()

    def persons(self, ids, **more):
        answer = self.ask("persons", json.dumps({"ids": ids, "purpose": "letter", **more}))
        assert answer.startswith("OK "), answer
        return json.loads(answer[3:])["personer"]

    def close(self):
        self.socket.close()


@pytest.fixture
def lookup(tmp_path):
    # under /tmp itself: pytest's folders are closed to other users
    folder = pathlib.Path(f"/tmp/brevdue-lookup-{os.getpid()}-{tmp_path.name[-20:]}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    daemon = Lookup(folder)
    try:
        daemon.start()
        yield daemon
        assert daemon.process.poll() is None, f"the daemon died:\n{daemon.tail()}"
        assert daemon.stop() == 0
    finally:
        daemon.kill()
        shutil.rmtree(folder)


@pytest.mark.skipif(shutil.which("postmap") is None, reason="Postfix is not installed")
def test_postmap_asks(lookup, certificate):
    lookup.load([person(KARI, certificate), person(DAGNY, reservasjon="JA")])
    found = json.loads(lookup.postmap(KARI, "person"))
    assert found["personidentifikator"] == KARI
    assert found["digital_post"]["postkasseadresse"] == box_of(KARI)
    assert base64.b64decode(found["sertifikat"]) == certificate
    assert json.loads(lookup.postmap(NOBODY, "person"))["status"] == "IKKE_REGISTRERT"
    assert lookup.postmap("01819090014", "person") is None
    assert lookup.postmap("kari", "person") is None
    domain = "innbygger.eksempel.example"
    for address in (KARI, f"Kari.{KARI}", f"{KARI}+print"):
        assert lookup.postmap(f"{address}@{domain}", "recipient") == "OK"
    for address in (f"kari@{domain}", f"{KARI}@example.org", f"01819090014@{domain}"):
        assert lookup.postmap(address, "recipient") is None


@pytest.mark.skipif(shutil.which("postmap") is None, reason="Postfix is not installed")
def test_postmap_decision(lookup, certificate):
    lookup.load([person(KARI, certificate), person(DAGNY, reservasjon="JA")])
    decision = json.loads(lookup.postmap(f"{AGENCY}/important:{KARI}", "decision"))
    assert decision.pop("reason")
    assert decision == {"route": "digital", "row": 6, "notify": ["email"], "provider": "984661185",
                        "mailbox": box_of(KARI), "certificate": hashlib.sha256(certificate).hexdigest()}
    service = json.loads(lookup.postmap(f"service:{KARI}", "decision"))
    assert (service["route"], service["notify"]) == ("digital", [])
    opted_out = json.loads(lookup.postmap(f"{AGENCY}/important:{DAGNY}", "decision"))
    assert (opted_out["route"], opted_out["row"]) == ("refuse", 2)
    assert not {"mailbox", "provider", "certificate"} & set(opted_out)


def test_batch(lookup):
    numbers = [n for n, _ in zip(synthetic(), range(1000))]
    lookup.load([person(n) for n in numbers])
    client = lookup.connect()
    ids = numbers[::-1]
    answered = client.persons(ids, agency=AGENCY)
    assert [p["personidentifikator"] for p in answered] == ids
    assert all(p["digital_post"]["postkasseadresse"] == box_of(p["personidentifikator"]) for p in answered)
    assert client.persons([NOBODY])[0]["status"] == "IKKE_REGISTRERT"
    too_many = json.dumps({"ids": [KARI] * 1001, "purpose": "letter"})
    assert client.ask("persons", too_many).startswith("PERM ")
    assert client.persons([numbers[0]])[0]["status"] == "AKTIV"  # the connection goes on
    client.close()


def test_no_two_persons_are_confused(lookup):
    """threats.md A15: many askers at once, some while the register is replaced."""
    numbers = [n for n, _ in zip(synthetic(), range(200))]
    lookup.load([person(n) for n in numbers])

    def asker(seed):
        client = lookup.connect()
        for i in range(150):
            batch = [numbers[(seed * 31 + i * 7 + k) % len(numbers)] for k in range(1 + i % 5)]
            for asked, got in zip(batch, client.persons(batch), strict=True):
                assert got["personidentifikator"] == asked
                assert got["digital_post"]["postkasseadresse"] == box_of(asked)
        client.close()

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        askers = [pool.submit(asker, seed) for seed in range(16)]
        lookup.load([person(n) for n in reversed(numbers)])
        for a in askers:
            a.result()


def test_nothing_personal_in_the_log(lookup):
    lookup.load([person(KARI)])
    client = lookup.connect()
    client.persons([KARI, DAGNY], agency=AGENCY)
    client.ask("person", KARI)
    client.ask("person", "01819090014")
    client.ask(KARI, KARI)
    client.ask("decision", f"{KARI}/important:{KARI}")
    client.send(KARI.encode() + b"\n")
    assert client.answer() is None
    lookup.brevdue("registry", "show", KARI)
    lookup.brevdue("lookup", KARI)
    text = lookup.text()
    assert not re.search(r"(?<!\d)\d{11}(?!\d)", text)
    assert "example.org" not in text and "box#" not in text
    lines = re.findall(r"lookup user=(\S+) map=(\S+) purpose=(\S+) agency=(\S+) persons=(\S+)", text)
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert [line[:4] for line in lines] == [
        (me, "persons", "letter", AGENCY), (me, "person", "map", "-"),
        (me, "registry-show", "operator", "-"), (me, "decide", "operator", "-")]
    kari, dagny = lines[0][4].split(",")
    assert re.fullmatch("[0-9a-f]{16}", kari) and kari != dagny and lines[1][4] == kari


@pytest.mark.parametrize("sent", [
    b"hello", b"GET / HTTP/1.1\r\n\r\n", b"99999999999:x", b"200000:", b"-3:abc,", b"18:person 01819090013;",
    b"\0\0\0\0", b"007:person ,", b"5" * 70000,
])
def test_broken_netstrings_end_the_connection_only(lookup, sent):
    client, other = lookup.connect(), lookup.connect()
    with contextlib.suppress(OSError):  # it may be closed before all is sent
        client.send(sent)
        client.socket.shutdown(socket.SHUT_WR)
    assert client.answer() is None
    assert other.ask("person", KARI).startswith("OK ")


def test_refused_requests_keep_the_connection(lookup):
    client = lookup.connect()
    for text in (b"person 0181909\n0013", b"person \0", b"\r", b"", b"person", b"nomap x"):
        client.send(b"%d:%s," % (len(text), text))
        assert client.answer().startswith("PERM ")
    assert client.ask("person", KARI).startswith("OK ")


def test_slow_clients_do_not_hold_others(lookup):
    lookup.load([person(KARI)])
    slow = [lookup.connect() for _ in range(50)]
    for n, client in enumerate(slow):
        client.send(b"18:person 01819090013,"[:n % 21])
    # one that never reads its big answers
    deaf = lookup.connect()
    key = f'persons {json.dumps({"ids": [KARI] * 1000, "purpose": "x"})}'.encode()
    deaf.socket.settimeout(0.5)
    with contextlib.suppress(TimeoutError):  # nobody takes more
        for _ in range(100):
            deaf.send(b"%d:%s," % (len(key), key))
    started = time.monotonic()
    quick = lookup.connect()
    for _ in range(50):
        assert quick.ask("person", KARI).startswith("OK ")
    assert time.monotonic() - started < 5
    # and a slow one is served when it has said all
    for byte in b"18:person 01819090013,"[20:]:
        slow[20].send(bytes([byte]))
    assert slow[20].answer().startswith("OK ")


def test_pipelined_requests_are_answered_in_order(lookup):
    numbers = [n for n, _ in zip(synthetic(), range(300))]
    client = lookup.connect()
    client.send(b"".join(b"18:person %s," % n.encode() for n in numbers))
    for n in numbers:
        assert json.loads(client.answer()[3:])["personidentifikator"] == n


def test_clients_that_leave(lookup):
    key = f'persons {json.dumps({"ids": [KARI] * 1000, "purpose": "x"})}'.encode()
    for _ in range(30):
        client = lookup.connect()
        client.send(b"%d:%s," % (len(key), key))
        client.close()
    assert lookup.connect().ask("person", KARI).startswith("OK ")


@pytest.mark.skipif(not ROOT, reason="only root can become another user")
@pytest.mark.skipif(shutil.which("postmap") is None, reason="Postfix is not installed")
def test_peers_are_known_by_their_uid(lookup):
    script = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
              "s.sendall(b'18:person 01819090013,'); print(s.recv(9))")

    def ask_as(user):
        return subprocess.run(["/usr/bin/python3", "-c", script, lookup.socket], user=user, text=True,
                              capture_output=True, check=False, cwd="/")

    assert "OK" in ask_as("daemon").stdout
    refused = ask_as("games")
    assert "OK" not in refused.stdout
    assert re.search(r"uid \d+ may not ask", lookup.text())
    assert "persons=" in lookup.text() and lookup.text().count("map=person") == 1


@pytest.mark.skipif(not ROOT, reason="only root can become another user")
def test_operators_are_known_by_their_uid(lookup):
    lookup.load([person(KARI)])
    lookup.folder.joinpath("secret").chmod(0o600)
    allowed = lookup.brevdue("registry", "list", user="daemon", cwd="/")
    assert allowed.returncode == 0 and KARI in allowed.stdout, allowed.stderr
    refused = lookup.brevdue("registry", "list", user="games", cwd="/")
    assert refused.returncode == 1 and KARI not in refused.stdout
    assert "may not do this" in refused.stderr


def test_runs_as_its_user_and_keeps_its_folder_closed(lookup):
    uid = pwd.getpwnam(lookup.user).pw_uid
    status = pathlib.Path(f"/proc/{lookup.process.pid}/status").read_text(encoding="utf-8")
    assert re.search(rf"^Uid:\s{uid}\s{uid}\s{uid}\s{uid}$", status, re.M)
    assert "NoNewPrivs:\t1" in status
    for path in (lookup.folder / "db/register").rglob("*"):
        assert path.stat().st_uid == uid and stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE((lookup.folder / "db/register").stat().st_mode) == 0o700


def test_second_instance_is_refused(lookup):
    lookup.load([person(KARI)])
    second = subprocess.run([PROGRAM, "-c", lookup.conf], capture_output=True, text=True, timeout=30,
                            check=False)
    assert second.returncode != 0 and "use" in second.stderr, second.stderr
    # with sockets of its own it would still meet the database's lock
    other = lookup.folder / "other.conf"
    other.write_text(lookup.conf.read_text(encoding="utf-8").replace("/run/", "/run2/"), encoding="utf-8")
    second = subprocess.run([PROGRAM, "-c", other], capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode != 0 and "one environment, one owner" in second.stderr
    assert lookup.connect().ask("person", KARI).startswith("OK ")


def whole_generation(lookup):
    """The generation that every person belongs to."""
    listed = lookup.brevdue("registry", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    persons = [json.loads(line) for line in listed.stdout.splitlines()]
    marks = {p["spraak"] for p in persons}
    assert len(marks) == 1
    return marks.pop(), len(persons)


def generation(mark, count):
    return [person(n, spraak=mark) for n, _ in zip(synthetic(), range(count))]


@pytest.mark.skipif(not FAILPOINTS, reason="built without --enable-failpoints")
@pytest.mark.parametrize("point, expected", [
    ("lookup.import-batch", "nb"), ("lookup.before-switch", "nb"), ("lookup.after-switch", "nn")])
def test_kill_in_an_import(lookup, point, expected):
    lookup.load(generation("nb", 2500))
    lookup.failpoint.write_text(f"{point} kill\n", encoding="utf-8")
    lookup.failpoint.chmod(0o666)
    lookup.folder.chmod(0o777)  # the daemon removes the line
    (lookup.folder / "next.json").write_text(json.dumps({"personer": generation("nn", 2600)}))
    done = lookup.brevdue("registry", "import", lookup.folder / "next.json")
    assert done.returncode == 1 and "closed the connection" in done.stderr
    assert lookup.process.wait(10) == -signal.SIGKILL
    lookup.failpoint.unlink(missing_ok=True)
    lookup.start()
    assert whole_generation(lookup) == (expected, 2500 if expected == "nb" else 2600)
    lookup.load(generation("se", 100))
    assert whole_generation(lookup) == ("se", 100)


def test_kill_at_any_time_in_an_import(lookup):
    lookup.load(generation("nb", 3000))
    (lookup.folder / "next.json").write_text(json.dumps({"personer": generation("nn", 3000)}))
    for delay in (0.01, 0.05, 0.15):
        command = subprocess.Popen([COMMAND, "-c", lookup.conf, "registry", "import",
                                    lookup.folder / "next.json"], stderr=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL)
        time.sleep(delay)  # the point is that any moment is good
        lookup.kill()
        command.wait(30)
        lookup.start()
        assert whole_generation(lookup)[1] == 3000


def test_register_survives_a_restart(lookup):
    lookup.load([person(KARI), person(DAGNY)])
    lookup.kill()
    lookup.start()
    assert lookup.connect().persons([KARI, DAGNY])[1]["digital_post"]["postkasseadresse"] == box_of(DAGNY)
    assert "persons=2" in lookup.text()


def test_operators_command(lookup, certificate):
    empty = lookup.brevdue("registry", "info")
    assert empty.returncode == 0 and "nothing was imported" in empty.stdout
    lookup.load([person(KARI, certificate), person(DAGNY, reservasjon="JA")])
    assert "persons: 2" in lookup.brevdue("registry", "info").stdout
    shown = lookup.brevdue("registry", "show", KARI)
    assert json.loads(shown.stdout)["digital_post"]["postkasseadresse"] == box_of(KARI)
    assert lookup.brevdue("registry", "show", NOBODY).returncode == 1
    explained = lookup.brevdue("lookup", KARI).stdout
    assert "goes to the digital mailbox at 984661185" in explained and "notice by e-mail" in explained
    assert "opted out" in lookup.brevdue("lookup", "-a", AGENCY, DAGNY).stdout
    assert lookup.brevdue("lookup", "-a", "other", DAGNY).returncode == 1
    assert lookup.brevdue("registry", "remove", KARI).stdout == "removed\n"
    assert lookup.brevdue("registry", "remove", KARI).returncode == 1
    listed = lookup.brevdue("registry", "list").stdout
    assert DAGNY in listed and KARI not in listed
    assert lookup.brevdue("registry", "frobnicate").returncode == 2
    # what list writes, import reads
    exported = lookup.brevdue("registry", "list", "--json").stdout
    again = lookup.brevdue("registry", "import", "-", input=exported)
    assert again.returncode == 0 and lookup.brevdue("registry", "list", "--json").stdout == exported


@pytest.mark.parametrize("text, words", [
    ('{"personer":[{"personidentifikator":"01819090014","status":"AKTIV"}]}',
     "bad:1: personidentifikator is not a valid number"),
    ("personidentifikator,status\n41810120035,AKTIV\n1,AKTIV\n", "bad:3: personidentifikator is not a valid"),
    ('{"personidentifikator":"41810120035","status":"AKTIV"}\n' * 2, "bad:2: this person stands twice"),
    ("", "the file is empty"),
    ("hello", "is not a member of the register's answer"),
])
def test_bad_files_change_nothing(lookup, text, words):
    lookup.load([person(KARI)])
    bad = lookup.folder / "bad"
    bad.write_text(text, encoding="utf-8")
    done = lookup.brevdue("registry", "import", "bad", cwd=lookup.folder)
    assert done.returncode == 1 and words in done.stderr.replace("bad:1: this", "bad:2: this")
    listed = lookup.brevdue("registry", "list").stdout
    assert KARI in listed and DAGNY not in listed


def test_unusable_settings_are_told(tmp_path_factory):
    folder = pathlib.Path(f"/tmp/brevdue-lookup-{os.getpid()}-settings")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        daemon = Lookup(folder)
        (folder / "secret").write_bytes(b"short")
        with pytest.raises(NotReady, match="must be 32"):
            daemon.start()
        (folder / "secret").write_bytes(bytes(32))
        (folder / "db/register").mkdir(mode=0o755)
        if ROOT:
            shutil.chown(folder / "db/register", "nobody")
        (folder / "db/register").chmod(0o755)
        with pytest.raises(NotReady, match="must be 0700"):
            daemon.start()
    finally:
        shutil.rmtree(folder)
