# SPDX-License-Identifier: Apache-2.0
"""The running brevdue-sandbox, a client for it, and letters whose every part can be spoilt."""
import copy
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import urllib.parse

import jwt
import pytest

import dpi
from files import pdf

ROOT = pathlib.Path(__file__).resolve().parents[2]
KARI, KARI_BOX = "01819090013", "kari.provesen#1ABC"
OLA, OLA_BOX = "15906312309", "0000487204"
UNKNOWN = "13819911155"  # to the register
NOBODY_BOX = "0000999999"
CLIENT = "00000000-0000-4000-8000-00000000000%d"
AGENCY_CLIENT, KID_CLIENT, OTHER_CLIENT, PROCESSOR_CLIENT = (CLIENT % n for n in (1, 2, 3, 4))


class Sandbox:
    """The running daemon and a client for it."""

    def __init__(self, folder, *options):
        build = pathlib.Path(os.environ.get("BREVDUE_BUILD", ROOT / "build")).resolve()
        self.program = build / "brevdue-sandbox"
        if not self.program.exists():
            pytest.skip("brevdue-sandbox is not built (BREVDUE_BUILD)")
        self.folder, self.options, self.port = pathlib.Path(folder), options, 0
        self.parties = {}
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "--dir", self.folder, "--listen", f"127.0.0.1:{self.port}", *self.options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.said = []
        for line in self.process.stdout:
            self.said.append(line.strip())
            if line.strip() == "ready":
                break
        else:
            raise AssertionError(f"the sandbox did not start: {self.said}")
        self.url = next(x.split()[1] for x in self.said if x.startswith("page")).rstrip("/")
        self.port = int(self.url.rsplit(":", 1)[1])
        self.issuer = self.url + "/"

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        self.process.stdout.close()
        return self.process.wait(20)

    def call(self, method, path, body=None, headers=None):
        """Status, headers, body; no redirects followed."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            c.request(method, path, body=body, headers=headers or {})
            answer = c.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            c.close()

    def get(self, path, token=None):
        return self.call("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})

    def json(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body)
        status, _, text = self.call(method or ("GET" if body is None else "POST"), path, data,
                                    {"Content-Type": "application/json"} if data else {})
        assert status in (200, 201), text
        return json.loads(text)

    def party(self, name):
        """A fresh copy: loading a key checks it, which takes long."""
        if name not in self.parties:
            self.parties[name] = dpi.Party(self.folder, name)
        return copy.copy(self.parties[name])

    def ask_token(self, assertion, grant_type=dpi.GRANT_TYPE, kind="application/x-www-form-urlencoded"):
        body = urllib.parse.urlencode({"grant_type": grant_type, "assertion": assertion})
        status, _, text = self.call("POST", "/token", body, {"Content-Type": kind})
        return status, json.loads(text)

    def token(self, scope=dpi.SEND, party="agency", client=AGENCY_CLIENT, **claims):
        status, answer = self.ask_token(dpi.grant(self.party(party), client, self.issuer, scope, **claims))
        assert status == 200, answer
        return answer["access_token"]

    def faults(self, **switches):
        return self.json("/sandbox/faults", switches)

    def letter(self, instance):
        status, _, text = self.get(f"/sandbox/letters/{instance}")
        return json.loads(text) if status == 200 else None

    def letters(self):
        return self.json("/sandbox/letters")["letters"]

    def receipts(self, instance):
        return [r for r in self.json("/sandbox/receipts")["receipts"] if r["message"] == instance]


def fresh(running, folder, *options):
    """Another sandbox with the same certificates: making new keys takes seconds."""
    folder.mkdir()
    for path in (*running.folder.glob("*.pem"), *running.folder.glob("*.key")):
        shutil.copy2(path, folder)
    return Sandbox(folder, *options)


class Letter:
    """A letter whose every part can be changed before it is posted."""

    def __init__(self, sandbox, mailbox=KARI_BOX, provider=dpi.DIGIPOST, title="Svar på søknad",
                 documents=None, token=None, signer="agency", **members):
        self.sandbox, self.mailbox, self.provider = sandbox, mailbox, provider
        self.signer = sandbox.party(signer)
        self.token = token or sandbox.token()
        self.documents = documents or [
            ("brev.html", "text/html", title, b"<!DOCTYPE html><p>Hei</p>"),
            ("vedlegg-01.pdf", "application/pdf", "Vedlegg", pdf()),
        ]
        self.package_signer, self.manifest_mailbox = self.signer, mailbox
        self.manifest_sender, self.recipient, self.spoil = dpi.AGENCY, provider, None
        self.members, self.channel = members, None
        self.message = None

    def make(self):
        inner = dpi.asice(self.documents, self.manifest_mailbox, self.package_signer,
                          self.manifest_sender, self.spoil)
        self.package = dpi.cms(inner, self.sandbox.folder / f"provider-{self.recipient}.pem")
        self.message = dpi.business_message(self.package, self.token, self.mailbox, self.provider,
                                            **self.members)
        return self

    @property
    def header(self):
        return self.message["standardBusinessDocument"]["standardBusinessDocumentHeader"]

    @property
    def body(self):
        return self.message["standardBusinessDocument"]["digital"]

    @property
    def id(self):
        return self.header["documentIdentification"]["instanceIdentifier"]

    def post(self, jwt_text=None, parts=None, token=None, path=None):
        if self.message is None:
            self.make()
        if parts is None:
            parts = [("forretningsmelding", "sbd.jwt", "application/jwt",
                      (jwt_text or dpi.message_jwt(self.message, self.signer)).encode()),
                     ("dokumentpakke", "asic.cms", "application/cms", self.package)]
        body, kind = dpi.multipart(parts)
        path = path or "/dpi/messages/out" + (f"?kanal={self.channel}" if self.channel else "")
        headers = {"Content-Type": kind}
        if token != "":
            headers["Authorization"] = f"Bearer {token or self.token}"
        status, _, text = self.sandbox.call("POST", path, body, headers)
        return status, (json.loads(text) if text else None)


def refused(answer, status, words):
    """The problem document with that status, whose detail has the words."""
    got, problem = answer
    assert got == status, (got, problem)
    assert {"type", "title", "status", "detail", "instance"} <= problem.keys()
    assert words in problem["detail"], problem["detail"]
    return problem


def look_up(sandbox, numbers, token, version="v2"):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = numbers if isinstance(numbers, str) else json.dumps({"personidentifikatorer": numbers})
    status, _, text = sandbox.call("POST", f"/rest/{version}/personer", body, headers)
    return status, json.loads(text)


def path_set(document, path, value):
    *before, last = path
    for name in before:
        document = document[name]
    if value is None:
        del document[last]
    else:
        document[last] = value


def fetch(sandbox, token, query=""):
    status, _, text = sandbox.get(f"/dpi/messages/in{query}", token)
    return status, (json.loads(text) if text else [])


def receipt_id(entry):
    claims = jwt.decode(entry["forretningsmelding"], options={"verify_signature": False})
    head = claims["standardBusinessDocument"]["standardBusinessDocumentHeader"]
    return head["documentIdentification"]["instanceIdentifier"]


def read_all(sandbox, token):
    while True:
        _, listed = fetch(sandbox, token, "?page_size=1000")
        if not listed:
            return
        for entry in listed:
            assert sandbox.call("POST", f"/dpi/messages/in/{receipt_id(entry)}/read",
                                headers={"Authorization": f"Bearer {token}"})[0] == 200
