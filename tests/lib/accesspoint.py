# SPDX-License-Identifier: Apache-2.0
"""A small scripted access point and token service for odd answers, which the sandbox does not give.
It checks of a letter what the transport alone answers for; the sandbox checks the rest."""

import base64
import hashlib
import json
import re
import threading
import time
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding


def unbase64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def open_jwt(text):
    """Header and payload of a JWT, verified with the certificate it carries."""
    head, payload, signature = text.split(".")
    header = json.loads(unbase64url(head))
    leaf = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0], validate=True))
    leaf.public_key().verify(unbase64url(signature), f"{head}.{payload}".encode(), padding.PKCS1v15(),
                             hashes.SHA256())
    return header, json.loads(unbase64url(payload))


class Answer:
    """What to do with one request: status and body, or one of the faults."""

    def __init__(self, status=201, problem=None, headers=None, cut=False, wait=None, keep=None):
        self.status, self.problem, self.headers = status, problem, headers or {}
        self.cut, self.wait = cut, wait
        self.keep = keep if keep is not None else status == 201  # the letter is taken

    def body(self):
        if self.problem is None:
            return b""
        return json.dumps({"type": "about:blank", "status": self.status, "detail": self.problem}).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=None, kind="application/json"):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def play(self, a):
        if a.wait is not None:
            a.wait.wait(30)
        if a.cut:
            self.close_connection = True
            return
        self.answer(a.status, a.body(), a.headers, "application/problem+json")

    def do_POST(self):
        point = self.server.point
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            return self.token(point, body)
        if not self.path.startswith("/dpi/messages/out"):
            return self.answer(404)
        self.play(point.post(self.path, self.headers, body))

    def token(self, point, body):
        with point.lock:
            point.grants.append(body)
            a = point.token_answers.pop(0) if point.token_answers else None
            number = len(point.grants)
        if a is not None:
            if a.status == 200:
                return self.answer(200, a.problem.encode())
            return self.answer(a.status, (a.problem or "").encode(), a.headers)
        self.answer(200, json.dumps({"access_token": f"token-{number}", "token_type": "Bearer",
                                     "expires_in": point.token_life, "scope": "x"}).encode())

    def do_GET(self):
        point = self.server.point
        found = re.fullmatch(r"/dpi/messages/out/([0-9a-f-]{36})/statuses", self.path)
        with point.lock:
            point.queries.append(self.path)
            a = point.query_answers.pop(0) if point.query_answers else None
            statuses = point.statuses.get(found[1]) if found else None
        if a is not None:
            return self.play(a)
        if statuses is None:
            return self.answer(404)
        self.answer(200, json.dumps([{"status": s, "timestamp": "2030-01-01T00:00:00Z"}
                                     for s in statuses]).encode())


class AccessPoint:
    """answers: what to say to the next POSTs; then 201. statuses: instance id -> list of status."""

    def __init__(self):
        self.lock = threading.Lock()
        self.answers, self.query_answers, self.token_answers = [], [], []
        self.grants, self.queries = [], []
        self.posts = []  # instance ids in the order of arrival, refused ones too
        self.letters = {}  # instance id -> list of payloads that were taken
        self.statuses = {}
        self.errors = []
        self.token_life = 120
        self.final = "SENDT"
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.point = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def post(self, path, headers, body):
        try:
            return self.take(path, headers, body)
        except Exception as wrong:  # noqa: BLE001 - shown by the test
            self.errors.append(repr(wrong))
            return Answer(500)

    def take(self, path, headers, body):
        form = BytesParser(policy=HTTP).parsebytes(
            b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body)
        parts = {p.get_param("name", header="content-disposition"): p for p in form.iter_parts()}
        package = parts["dokumentpakke"].get_payload(decode=True)
        header, sbd = open_jwt(parts["forretningsmelding"].get_payload(decode=True).decode())
        head = sbd["standardBusinessDocument"]["standardBusinessDocumentHeader"]
        digital = sbd["standardBusinessDocument"]["digital"]
        instance = head["documentIdentification"]["instanceIdentifier"]
        token = headers["Authorization"].removeprefix("Bearer ")

        assert set(header) == {"x5c", "alg"} and header["alg"] == "RS256", header
        assert digital["maskinportentoken"] == token, "token in SBD is not that of the header"
        assert digital["dokumentpakkefingeravtrykk"]["digestValue"] == base64.b64encode(
            hashlib.sha256(package).digest()).decode(), "digest"
        with self.lock:
            self.posts.append(instance)
            a = self.answers.pop(0) if self.answers else None
            if a is None:
                a = (Answer(409, f"409002: Document with ID {instance} already exists")
                     if instance in self.statuses else Answer(201))
            if a.keep:
                self.letters.setdefault(instance, []).append(
                    {"sbd": sbd, "package": package, "path": path, "token": token})
                self.statuses.setdefault(instance, ["OPPRETTET", self.final])
        return a

    def wait_posts(self, n, seconds=20):
        end = time.monotonic() + seconds
        while len(self.posts) < n:
            assert time.monotonic() < end, f"{len(self.posts)} of {n} posts"
            time.sleep(0.01)
