# SPDX-License-Identifier: Apache-2.0
"""The MTA's side of the milter protocol, as Postfix speaks it (version 6) and as old Sendmails did
(version 2). Written from the protocol's description; knows nothing of brevdue."""

import collections
import socket
import struct

ACTIONS = {2: 0x1F, 6: 0x1FF}   # SMFIF_*: all that a version knows
STEPS = {2: 0x7F, 6: 0x1FFFFF}  # SMFIP_*

Reply = collections.namedtuple("Reply", "verdict code text progress")
VERDICTS = {"c": "continue", "a": "accept", "d": "discard", "r": "reject", "t": "tempfail", "s": "skip"}


class Gone(ConnectionError):
    """The milter closed the connection."""


class MilterClient:
    """One connection. Each event returns a Reply; progress counts the packets that said "wait"."""

    def __init__(self, path, version=6, timeout=20):
        self.version = version
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.negotiate()

    def negotiate(self):
        self.send("O", struct.pack(">III", self.version, ACTIONS[self.version], STEPS[self.version]))
        command, data = self.receive()
        assert command == "O", command
        self.agreed, self.actions, self.steps = struct.unpack(">III", data[:12])
        self.macros_wanted, rest = {}, data[12:]
        while rest:
            stage, = struct.unpack(">I", rest[:4])
            names, rest = rest[4:].split(b"\0", 1)
            self.macros_wanted[stage] = names.decode().split()

    def send(self, command, data=b""):
        try:
            self.socket.sendall(struct.pack(">I", len(data) + 1) + command.encode() + data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Gone(str(error)) from None

    def exactly(self, size):
        data = b""
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except ConnectionResetError as error:
                raise Gone(str(error)) from None
            if not more:
                raise Gone("end of file")
            data += more
        return data

    def receive(self):
        size, = struct.unpack(">I", self.exactly(4))
        packet = self.exactly(size)
        return packet[:1].decode(), packet[1:]

    def reply(self):
        progress = 0
        while True:
            command, data = self.receive()
            if command == "p":
                progress += 1
            elif command == "y":
                text = data.rstrip(b"\0").decode("ascii")
                verdict = "reject" if text[0] == "5" else "tempfail"
                return Reply(verdict, int(text[:3]), text[4:], progress)
            elif command in VERDICTS:
                return Reply(VERDICTS[command], None, "", progress)
            else:
                raise AssertionError(f"the milter asked for a change: {command!r}")

    def macros(self, command, **values):
        """Sent before the command they belong to. Names without braces but for one letter."""
        words = b""
        for name, value in values.items():
            word = name if len(name) == 1 else "{" + name + "}"
            words += word.encode() + b"\0" + value.encode() + b"\0"
        self.send("D", command.encode() + words)

    def event(self, command, data=b""):
        self.send(command, data)
        return self.reply()

    @staticmethod
    def strings(*words):
        return b"".join((w if isinstance(w, bytes) else w.encode()) + b"\0" for w in words)

    def connect(self, host="client.example", address="127.0.0.1", port=40000):
        if address is None:
            return self.event("C", self.strings(host) + b"U")
        family = b"6" if ":" in address else b"4"
        text = ("IPv6:" if ":" in address else "") + address
        return self.event("C", self.strings(host) + family + struct.pack(">H", port) + self.strings(text))

    def helo(self, name="client.example", **macros):
        self.macros("H", **macros)
        return self.event("H", self.strings(name))

    def mail(self, address, *args, **macros):
        self.macros("M", **macros)
        return self.event("M", self.strings(f"<{address}>", *args))

    def rcpt(self, address, *args, **macros):
        self.macros("R", **macros)
        return self.event("R", self.strings(f"<{address}>", *args))

    def data(self, **macros):
        if self.version < 6:
            return Reply("continue", None, "", 0)
        self.macros("T", **macros)
        return self.event("T")

    def header(self, name, value):
        if self.version >= 6 and self.steps & 0x100000:  # SMFIP_HDR_LEADSPC
            value = " " + value
        return self.event("L", self.strings(name, value))

    def end_of_headers(self):
        return self.event("N")

    def body(self, data, chunk=65535):
        reply = Reply("continue", None, "", 0)
        for at in range(0, len(data), chunk):
            reply = self.event("B", data[at:at + chunk])
            if reply.verdict != "continue":
                break
        return reply

    def end(self, **macros):
        self.macros("E", **macros)
        return self.event("E")

    def abort(self):
        self.send("A")

    def content(self, headers, body, chunk=65535, queue_id="4FRONT"):
        """DATA to the body's last byte; the last Reply, or the first that is not "continue"."""
        reply = self.data(i=queue_id)
        for name, value in headers:
            if reply.verdict == "continue":
                reply = self.header(name, value)
        if reply.verdict == "continue":
            reply = self.end_of_headers()
        if reply.verdict == "continue":
            reply = self.body(body, chunk)
        return reply

    def close(self):
        try:
            self.send("Q")
        except Gone:
            pass
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
