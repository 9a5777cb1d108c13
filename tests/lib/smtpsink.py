# SPDX-License-Identifier: Apache-2.0
"""A scripted SMTP server on a unix socket: stands where the sending instance's smtpd services do."""

import os
import socketserver
import threading

EXTENSIONS = ("SIZE 100000000", "8BITMIME", "DSN", "SMTPUTF8", "XFORWARD NAME ADDR IDENT")


class Mail:
    def __init__(self, commands, content):
        self.commands, self.content = commands, content

    def command(self, word):
        return next((c for c in self.commands if c.upper().startswith(word)), None)


class Handler(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        sink = self.server.sink
        commands = []
        self.say("220 sink ESMTP")
        for raw in self.rfile:
            line = raw.decode().rstrip("\r\n")
            verb = line[:4].upper()
            if verb == "QUIT":
                return
            if verb == "EHLO":
                self.say("\r\n".join(f"250-{e}" for e in ("sink", *EXTENSIONS)) + "\r\n250 ENHANCEDSTATUSCODES")
                continue
            commands.append(line)
            answer = sink.answers.get(verb)
            if answer == "cut":
                return
            if verb != "DATA" or answer:
                self.say(answer or "250 2.0.0 Ok")
                continue
            self.say("354 go on")
            content = []
            for body in self.rfile:
                if body == b".\r\n":
                    break
                content.append(body[1:] if body.startswith(b".") else body)
            else:
                return
            sink.take(Mail(commands, b"".join(content)))
            commands = []
            answer = sink.answers.get(".")
            if answer == "cut":
                return
            self.say(answer or f"250 2.0.0 Ok: queued as 4SINK{len(sink.mails)}")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 50


class SmtpSink:
    """answers: "MAIL", "RCPT", "DATA" or "." -> another answer, or "cut"."""

    def __init__(self, path):
        self.path, self.mails, self.answers, self.lock = str(path), [], {}, threading.Lock()
        self.server = Server(self.path, Handler)
        self.server.sink = self
        os.chmod(self.path, 0o666)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def take(self, mail):
        with self.lock:
            self.mails.append(mail)

    def reset(self):
        with self.lock:
            self.mails.clear()
            self.answers.clear()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        if os.path.exists(self.path):
            os.unlink(self.path)
