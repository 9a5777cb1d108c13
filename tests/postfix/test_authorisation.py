# SPDX-License-Identifier: Apache-2.0
"""Who may send in whose name (design promise 7, threats.md A3 and A4), over a real Postfix: two
agencies, clients known by login, by network and by certificate, and every pair of a credential and
a sender. docs/senders.md tells postmasters to set Postfix up as it is set up here."""

import base64
import contextlib
import hashlib
import os
import pathlib
import shutil
import smtplib
import ssl
import tempfile

import pytest
from cryptography.hazmat.primitives import serialization

from pki import Party
from stack import CITIZENS, CLERK, Stack, age, citizen, free_port, mail

PASSWORD = "hestehov-77"
OLA = "ola@annen.example"
BOTH = "felles@begge.example"
ORGNR = {CLERK: "123456785", OLA: "212121215"}
REFUSED = (550, "5.7.1")

AGENCIES = """
agency "annen" {
	orgnr = 212121215
	display-name = "Annen etat"
	certificate = "SANDBOX/other.pem"
	key = "SANDBOX/other.key"
	public-title = "Brev fra Annen etat"
	archive = none
	client-id = "00000000-0000-4000-8000-000000000003"
	sender "@annen.example" { }
	sender "felles@begge.example" { }
	sender "info@annen.example" { kinds = { service } }
	sender "sakte@annen.example" { per-hour = 2 }
}
client "kari" { logins = { "kari" } agencies = { "eksempel" } }
client "ola" { logins = { "ola" } agencies = { "annen" } }
client "begge" { logins = { "begge" } agencies = { "eksempel", "annen" } }
client "nett" { networks = { "198.51.100.0/24" } agencies = { "annen" } }
client "gammelt" { networks = { "203.0.113.0/26" } agencies = { "annen" } tls = optional }
client "nett-begge" { networks = { "203.0.113.64/26" } agencies = { "eksempel", "annen" } }
client "delt" { networks = { "203.0.113.128/26" } agencies = { "annen" } shared = yes }
client "sertifikat" { listeners = { "sert-eksempel" } agencies = { "eksempel" } }
client "sertifikat-annen" { listeners = { "sert-annen" } agencies = { "annen" } }
"""


def fingerprint(party):
    der = party.cert.public_bytes(serialization.Encoding.DER)
    return ":".join(f"{b:02X}" for b in hashlib.sha256(der).digest())


class Authorised(Stack):
    """The stack with SASL and certificate listeners."""

    def __init__(self, build, folder):
        super().__init__(build, folder=folder)
        self.login_port, self.owned_port, self.chroot_port, *ports = (free_port() for _ in range(5))
        self.cert_ports = dict(zip(("eksempel", "annen"), ports))
        self.files = self.dir / "auth"
        self.files.mkdir()
        self.overrides = {
            "agency": [f'sender "{BOTH}" {{ }}'],
            "more": [AGENCIES.replace("SANDBOX", str(self.sandbox.folder))],
            "postfix": [f'front-parameters = {{ "smtpd_tls_CAfile = {self.files}/ca.pem" }}'],
        }
        self.services += self.listener_lines()
        self.make_files()

    def listener_lines(self):
        """Lines for master.cf. The first two run without chroot, so that Cyrus SASL finds its data."""
        common = ("-o smtpd_milters=unix:brevdue/milter -o smtpd_reject_unlisted_recipient=no "
                  "-o smtpd_tls_security_level=encrypt")
        sasl = (f"{common} -o smtpd_sasl_auth_enable=yes "
                "-o smtpd_client_restrictions=permit_sasl_authenticated,reject")
        owned = (f"-o smtpd_sender_login_maps=texthash:{self.files}/owners "
                 "-o smtpd_sender_restrictions=reject_sender_login_mismatch")
        yield f"127.0.0.1:{self.login_port} inet n - n - - smtpd {sasl}"
        yield f"127.0.0.1:{self.owned_port} inet n - n - - smtpd {sasl} {owned}"
        yield f"127.0.0.1:{self.chroot_port} inet n - y - - smtpd {sasl}"
        for name, port in self.cert_ports.items():
            ask = {"eksempel": "req", "annen": "ask"}[name]
            yield (f"127.0.0.1:{port} inet n - y - - smtpd {common} -o smtpd_tls_{ask}_ccert=yes "
                   f"-o {{ smtpd_client_restrictions=check_ccert_access texthash:{self.files}/certs-{name}, "
                   f"reject }} -o milter_macro_daemon_name=sert-{name}")

    def setup_postfix(self):
        super().setup_postfix()
        (self.front.config / "sasl").mkdir()  # Debian's Postfix looks there and nowhere else
        (self.front.config / "sasl/smtpd.conf").write_text(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"
            f"sasldb_path: {self.files}/sasldb2\n")
        realm = self.front.command("postconf", "-c", self.front.config, "-h", "myhostname").stdout.strip()
        for login in ("kari", "ola", "begge", "fremmed"):
            self.front.command("saslpasswd2", "-p", "-c", "-f", self.files / "sasldb2", "-u", realm, login,
                               input=PASSWORD)
        shutil.chown(self.files / "sasldb2", "postfix", "postfix")

    def make_files(self):
        (self.files / "owners").write_text(f"{CLERK} kari\n{OLA} ola\n{BOTH} begge\n"
                                           "sjef@eksempel.example sjef\n")
        ca = Party([("CN", "Klientrot")], ca=True)
        (self.files / "ca.pem").write_bytes(ca.write(self.files, "ca")[1].read_bytes())
        for name in ("eksempel", "annen", "ulistet"):
            party = Party([("CN", f"klient-{name}")], issuer=ca)
            party.write(self.files, name)
            (self.files / f"certs-{name}").write_text(f"{fingerprint(party)} OK\n")
        Party([("CN", "klient-eksempel")]).write(self.files, "falsk")

    # -- connections ---------------------------------------------------------------------------

    def session(self, port, certificate=None, tls=True, source="127.0.0.9"):
        client = smtplib.SMTP("127.0.0.1", port, local_hostname="klient.eksempel.example", timeout=60,
                              source_address=(source, 0))
        client.ehlo()
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            if certificate:
                context.load_cert_chain(self.files / f"{certificate}-cert.pem",
                                        self.files / f"{certificate}-key.pem")
            client.starttls(context=context)
            client.ehlo()
        return client

    def login(self, name, port=None):
        client = self.session(port or self.login_port)
        client.login(name, PASSWORD)
        return client

    def from_network(self, address, tls=True):
        client = self.session(self.port_elsewhere, tls=tls, source="127.0.0.1")
        code, text = client.docmd("XCLIENT", f"ADDR={address}")
        assert code == 220, text
        client.ehlo()
        return client

    def certificate(self, name, listener=None):
        return self.session(self.cert_ports[listener or name], certificate=name)

    def letters_of(self, code, before):
        """Letters since before; waited for after a 250."""
        wanted = len(before) + (1 if code == 250 else 0)
        return [x for x in self.wait_letters(wanted) if x["id"] not in before]


def hand_in(client, sender, message=None, to=None, options=()):
    """(code, enhanced code) of the first refusal, or of the end; (0, "") when the server hung up."""
    to = to or citizen()
    raw = (message or mail(to=to, sender=sender or CLERK)).as_bytes().replace(b"\n", b"\r\n")
    try:
        for answer in (lambda: client.mail(sender, list(options)), lambda: client.rcpt(to),
                       lambda: client.data(raw)):
            try:
                code, text = answer()
            except smtplib.SMTPDataError as refused:
                code, text = refused.smtp_code, refused.smtp_error
            if code != 250:
                break
        return code, text.decode().split()[0]
    except smtplib.SMTPServerDisconnected:
        return 0, ""
    finally:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.quit()


@pytest.fixture(scope="module")
def auth():
    if os.geteuid() != 0 or shutil.which("postfix") is None:
        pytest.skip("a private Postfix needs root")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bd-auth-", dir="/tmp"))
    try:
        with Authorised(os.environ.get("BREVDUE_BUILD", "build"), folder) as stack:
            yield stack
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def before(auth):
    return {letter["id"] for letter in auth.wait_letters(len(auth.letters()))}


# -- every pair --------------------------------------------------------------------------------

CREDENTIALS = {
    "login kari": (CLERK, lambda a: a.login("kari")),
    "login ola": (OLA, lambda a: a.login("ola")),
    "login without a client": (None, lambda a: a.login("fremmed")),
    "loopback": (CLERK, lambda a: a.session(a.port, source="127.0.0.1", tls=False)),
    "network": (OLA, lambda a: a.from_network("198.51.100.7")),
    "network of nobody": (None, lambda a: a.from_network("198.18.0.1")),
    "neighbour network": (None, lambda a: a.from_network("198.51.101.7")),
    "certificate eksempel": (CLERK, lambda a: a.certificate("eksempel")),
    "certificate annen": (OLA, lambda a: a.certificate("annen")),
}


@pytest.mark.parametrize("shown", [CLERK, OLA], ids=["From eksempel", "From annen"])
@pytest.mark.parametrize("sender", [CLERK, OLA, "x@fremmed.example", "x@eksempel.example.fremmed.example"])
@pytest.mark.parametrize("credential", CREDENTIALS)
def test_only_the_diagonal_passes(auth, before, credential, sender, shown):
    owner, connect = CREDENTIALS[credential]
    answer = hand_in(connect(auth), sender, mail(to=citizen(), sender=shown))
    assert answer == ((250, "2.0.0") if sender == owner else REFUSED)
    letters = auth.letters_of(answer[0], before)
    assert [(x["sender"], x["signer"]) for x in letters] == ([(ORGNR[owner],) * 2] if sender == owner else [])


# -- credentials that are none -----------------------------------------------------------------

def plain(authorise_as, login, password):
    return base64.b64encode("\0".join((authorise_as, login, password)).encode()).decode()


@pytest.mark.parametrize("answer", [plain("", "kari", "feil"), plain("", "ingen", PASSWORD), plain("", "kari", ""),
                                    plain("ola", "kari", PASSWORD), plain("", "", "")],
                         ids=["wrong password", "unknown login", "no password", "acts for another", "nobody"])
def test_bad_login(auth, before, answer):
    client = auth.session(auth.login_port)
    code, text = client.docmd("AUTH PLAIN", answer)
    assert code in (454, 501, 535), text
    assert hand_in(client, CLERK) == (554, "5.7.1")  # the listener takes nobody without a login


def test_login_is_not_offered_without_tls(auth):
    client = auth.session(auth.login_port, tls=False)
    assert not client.has_extn("auth")
    assert client.docmd("AUTH PLAIN", plain("", "kari", PASSWORD))[0] != 235
    assert hand_in(client, CLERK) == (530, "5.7.0")


def test_chrooted_listener_finds_no_logins(auth):
    """Why docs/senders.md has "n" in the chroot column: if this fails, it need no longer be there."""
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        auth.login("kari", auth.chroot_port)
    assert refused.value.smtp_code in (454, 535)


@pytest.mark.parametrize("sender, code", [
    (CLERK, 250),
    ("sjef@eksempel.example", 553),
    ("nyansatt@eksempel.example", 553),
    (OLA, 553),
    ("sjef%eksempel.example@annen.example", 553),
    ('"sjef@eksempel.example"@annen.example', 553),
    ("annen.example!ola", 553),
])
def test_login_owns_its_address(auth, before, sender, code):
    """kari may speak for the whole agency, but Postfix lets her use her own address only."""
    answer = hand_in(auth.login("kari", auth.owned_port), sender, mail(to=citizen()))
    assert answer == (code, "2.0.0" if code == 250 else "5.7.1")
    auth.letters_of(code, before)


def test_auth_parameter_of_mail_decides_nothing(auth, before):
    assert hand_in(auth.login("kari"), OLA, options=["AUTH=ola@annen.example"]) == REFUSED


@pytest.mark.parametrize("certificate, listener, answer", [
    ("annen", "eksempel", (554, "5.7.1")),
    ("ulistet", "eksempel", (554, "5.7.1")),
    ("falsk", "eksempel", (0, "")),
    (None, "eksempel", (0, "")),
    ("eksempel", "annen", (554, "5.7.1")),
    ("falsk", "annen", (554, "5.7.1")),
    (None, "annen", (554, "5.7.1")),
], ids=["another's listener", "not listed", "same name, not trusted", "none", "asked, another's", "asked, not listed",
        "asked, none"])
def test_bad_certificate(auth, before, certificate, listener, answer):
    client = auth.session(auth.cert_ports[listener], certificate=certificate)
    assert hand_in(client, CLERK if listener == "eksempel" else OLA) == answer
    assert auth.letters_of(answer[0], before) == []


def test_certificate_listener_without_tls(auth, before):
    assert hand_in(auth.session(auth.cert_ports["eksempel"], tls=False), CLERK) == (530, "5.7.0")


# -- several agencies, shared networks ---------------------------------------------------------

@pytest.mark.parametrize("connect, sender, orgnr", [
    (lambda a: a.login("begge"), CLERK, ORGNR[CLERK]),
    (lambda a: a.login("begge"), OLA, ORGNR[OLA]),
    (lambda a: a.login("begge"), BOTH, None),
    (lambda a: a.login("kari"), BOTH, ORGNR[CLERK]),
    (lambda a: a.login("ola"), BOTH, ORGNR[OLA]),
    (lambda a: a.login("begge"), "x@fremmed.example", None),
    (lambda a: a.from_network("203.0.113.70"), CLERK, None),
    (lambda a: a.from_network("203.0.113.70"), OLA, None),
    (lambda a: a.from_network("203.0.113.130"), OLA, None),
], ids=["the one table", "the other table", "both tables", "in both, client of one", "in both, client of the other",
        "no table", "network of two", "network of two, other", "shared network, no signature"])
def test_one_agency_must_be_meant(auth, before, connect, sender, orgnr):
    answer = hand_in(connect(auth), sender, mail(to=citizen(), sender=sender))
    assert answer == ((250, "2.0.0") if orgnr else REFUSED)
    assert [x["sender"] for x in auth.letters_of(answer[0], before)] == ([orgnr] if orgnr else [])


# -- kinds, limits, From -----------------------------------------------------------------------

@pytest.mark.parametrize("options, headers, code", [
    ("", (), 550),
    ("+info", (), 250),
    ("", [("Brevdue-Kind", "service")], 250),
    ("+info", [("Brevdue-Kind", "important")], 550),
])
def test_sender_of_service_messages(auth, before, options, headers, code):
    sender = "info@annen.example"
    answer = hand_in(auth.login("ola"), sender, mail(to=citizen(), sender=sender, headers=headers),
                     to=citizen(options=options))
    assert answer == (code, "2.0.0" if code == 250 else "5.7.1")
    assert len(auth.letters_of(code, before)) == (code == 250)


def test_two_letters_an_hour(auth, before):
    sender = "sakte@annen.example"
    answers = [hand_in(auth.login("ola"), sender) for _ in range(3)]
    assert answers == [(250, "2.0.0"), (250, "2.0.0"), (451, "4.7.0")]
    assert hand_in(auth.login("ola"), OLA) == (250, "2.0.0")  # the limit is that sender's own
    auth.wait_letters(len(before) + 3)


def test_two_froms_are_refused(auth, before):
    message = mail(to=citizen()).as_bytes().replace(b"\n", b"\r\n")
    client = auth.login("kari")
    client.mail(CLERK)
    client.rcpt(citizen())
    code, text = client.data(f"From: {OLA}\r\n".encode() + message)
    assert (code, text[:5]) == (550, b"5.6.0")


# -- TLS and strangers -------------------------------------------------------------------------

@pytest.mark.parametrize("address, sender, tls, answer", [
    ("192.0.2.5", CLERK, True, (250, "2.0.0")),
    ("192.0.2.5", CLERK, False, (550, "5.7.10")),
    ("198.51.100.7", OLA, False, (550, "5.7.10")),
    ("203.0.113.5", OLA, False, (250, "2.0.0")),
    ("203.0.113.5", CLERK, False, REFUSED),
    ("198.18.0.1", CLERK, False, REFUSED),
    ("127.0.0.1", CLERK, False, (250, "2.0.0")),
])
def test_tls(auth, before, address, sender, tls, answer):
    assert hand_in(auth.from_network(address, tls), sender, mail(to=citizen(), sender=sender)) == answer
    auth.letters_of(answer[0], before)


@pytest.mark.parametrize("verb", ["XCLIENT ADDR=192.0.2.5", "XCLIENT LOGIN=kari", "XFORWARD ADDR=192.0.2.5"])
@pytest.mark.parametrize("connect", [
    lambda a: a.session(a.port), lambda a: a.login("fremmed"), lambda a: a.certificate("annen"),
    lambda a: a.session(a.port_elsewhere)],
    ids=["front", "login", "certificate", "another host on the tests' listener"])
def test_nobody_says_that_he_is_another(auth, before, connect, verb):
    client = connect(auth)
    assert not client.has_extn(verb.split()[0])
    assert client.docmd(verb)[0] in (502, 550, 554)
    assert hand_in(client, CLERK) == REFUSED


def test_no_open_relay(auth):
    assert hand_in(auth.from_network("198.18.0.1"), CLERK, to="noen@fremmed.example") == (554, "5.7.1")
    assert hand_in(auth.from_network("203.0.113.130"), CLERK, to="noen@fremmed.example") == (554, "5.7.1")
    assert hand_in(auth.from_network("198.18.0.1"), CLERK, to=f"fremmed.example!noen@{CITIZENS}") == \
        (554, "5.7.1")


# -- brevdue check sees what would let others in -----------------------------------------------

def wrong_listeners(stack):
    said = stack.brevdue("check", check=False).stdout
    return [line for line in said.splitlines() if line.startswith("WRONG  certificate listeners")]


@pytest.mark.parametrize("old, new", [
    ("smtpd_tls_req_ccert=yes", "smtpd_tls_req_ccert=no"),
    ("certs-eksempel, reject }", "certs-eksempel }"),
    ("=check_ccert_access", "=permit_mynetworks check_ccert_access"),
    ("check_ccert_access texthash:", "check_client_access texthash:"),
    ("smtpd_tls_security_level=encrypt -o smtpd_tls_req", "smtpd_tls_security_level=may -o smtpd_tls_req"),
    ("milter_macro_daemon_name=sert-eksempel", "milter_macro_daemon_name=sert"),
    ("smtpd_client_restrictions=permit_sasl", "milter_macro_daemon_name=sert-annen -o smtpd_client_restrictions=permit_sasl"),
])
def test_check_finds_an_open_certificate_listener(auth, old, new):
    assert wrong_listeners(auth) == []
    master = auth.front.config / "master.cf"
    text = master.read_text()
    assert old in text
    try:
        master.write_text(text.replace(old, new, 1))
        age(master)
        assert len(wrong_listeners(auth)) == 1
    finally:
        master.write_text(text)
        age(master)


def test_check_notes_clients_that_can_send_nothing(auth):
    said = auth.brevdue("check", check=False).stdout
    assert "note   clients can send: client nett-begge is known by its network only and speaks for several" in said
    conf = auth.dir / "etc/changed.conf"
    conf.write_text(auth.conf.read_text().replace('client "nett-begge" {', 'client "nett-begge" { logins = { "x" }'))
    said = auth.front.command(auth.build / "brevdue", "-c", conf, "check", check=False).stdout
    assert "clients can send: client delt is known by its network only and shares it" in said
    conf.write_text(conf.read_text().replace("shared = yes", 'listeners = { "y" }'))
    said = auth.front.command(auth.build / "brevdue", "-c", conf, "check", check=False).stdout
    assert "clients can send" not in said and "WRONG  certificate listeners: no listener has" in said
