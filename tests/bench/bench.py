#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Speed and memory as ratios against a floor measured in the same run (./run bench).

    bench.py BUILD [LETTERS]

Handing in: letters a second through the whole gateway, next to the same mails handed to the same Postfix
without the milter and thrown away there. Look-up: a question to brevdue-lookup, next to a bare round trip
over a socket pair. Memory: the daemons' peaks after that.
Machines differ and so do hours of the day: compare ratios, and only within one run.
"""

import pathlib
import socket
import statistics
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))

import files  # noqa: E402
from stack import DAGNY, KARI, OLA, Stack, citizen, free_port, mail, wait_for, wire  # noqa: E402

CLIENTS = 10


def hand_in(port, count, stack):
    """Seconds that CLIENTS clients need for count mails with a 100 kB PDF, and the slowest answer."""
    people, answers = [KARI, OLA, DAGNY], []
    pdf = files.pdf() + b"\n%" + b"x" * 100_000
    raw = [wire(mail(to=citizen(people[n % 3]), subject=f"Måling {n}", attachments=[("a.pdf", "application/pdf", pdf)]))
           for n in range(count)]

    def client(first):
        connection = stack.smtp(tls=False, port=port)
        for n in range(first, count, CLIENTS):
            began = time.monotonic()
            connection.mail("kari@eksempel.example")
            connection.rcpt(citizen(people[n % 3]))
            assert connection.data(raw[n])[0] == 250
            answers.append(time.monotonic() - began)
        connection.quit()

    threads = [threading.Thread(target=client, args=(first,)) for first in range(CLIENTS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == count
    return time.monotonic() - began, statistics.median(answers)


def netstring(text):
    return b"%d:%s," % (len(text), text)


def ask(path, question, count):
    """Median microseconds of a socketmap question."""
    times = []
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        for _ in range(count):
            began = time.perf_counter()
            s.sendall(netstring(question))
            s.recv(65536)
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def echo_floor(count):
    """The same over a socket pair to a thread that only answers."""
    near, far = socket.socketpair(socket.AF_UNIX)

    def echo():
        while data := far.recv(65536):
            far.sendall(data)

    threading.Thread(target=echo, daemon=True).start()
    times = []
    for _ in range(count):
        began = time.perf_counter()
        near.sendall(b"x" * 30)
        near.recv(65536)
        times.append(time.perf_counter() - began)
    near.close()
    return statistics.median(times) * 1e6


def memory_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def main():
    build, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 300
    plain_port = free_port()
    discard = (f"127.0.0.1:{plain_port} inet n - y - - smtpd -o smtpd_milters= -o content_filter=discard: "
               "-o smtpd_reject_unlisted_recipient=no")
    with Stack(build, front_services=[discard]) as stack:
        hand_in(stack.port, 30, stack)  # warm: processes started, register read
        hand_in(plain_port, 30, stack)
        floor, floor_answer = hand_in(plain_port, count, stack)
        took, answer = hand_in(stack.port, count, stack)
        began = time.monotonic()
        wait_for("the letters to be delivered", lambda: not stack.sending.queued(), 300)
        delivered = took + time.monotonic() - began
        print(f"letters handed in          {count / took:8.1f} /s   median answer {answer * 1e3:6.1f} ms")
        print(f"floor: Postfix, discarded  {count / floor:8.1f} /s   median answer {floor_answer * 1e3:6.1f} ms")
        print(f"ratio of time              {took / floor:8.2f}")
        print(f"delivered to the mailbox   {count / delivered:8.1f} /s   (the sandbox verifies and decrypts each)")
        question = ask(stack.dir / "run/lookup/lookup", b"person " + KARI.encode(), 2000)
        bare = echo_floor(2000)
        print(f"look-up at the socket      {question:8.1f} us  floor: round trip {bare:.1f} us, ratio {question / bare:.2f}")
        for name in ("milter", "lookup", "transport"):
            print(f"peak memory {name:14} {memory_kib(getattr(stack, name).process.pid) / 1024:8.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
