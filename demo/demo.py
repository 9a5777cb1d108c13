#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plays the way of a letter on private Postfix instances and shows the evidence of each step.

    demo.py --build BUILD [--keep]      play; --keep leaves everything running
    demo.py --build BUILD --stop        stop what --keep left running

Called by ./run demo and ./run stop. Everything lies in one temporary folder and listens on loopback;
the system's Postfix is not touched.
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))

import files  # noqa: E402
import stack as stacks  # noqa: E402
from stack import CITIZENS, CLERK, KARI, Stack, citizen, wait_for  # noqa: E402

STATE = pathlib.Path("/run/brevdue-demo.json")
TEXT = "Hei Kari.\n\nVedlagt er vedtaket ditt om barnehageplass. Fristen for klage er tre uker.\n"
PLAIN = "Fristen for klage er tre uker"  # what must not be found anywhere on the way
WAYS = {"epostvarsel": "e-mail", "smsvarsel": "SMS"}
SUBJECT = "Vedtak om barnehageplass"
WIDTH = min(shutil.get_terminal_size((100, 24)).columns, 110)

if sys.stdout.isatty() or os.environ.get("FORCE_COLOR"):
    BOLD, DIM, GREEN, RED, BLUE, OFF = (f"\033[{c}m" for c in ("1", "2", "32", "31", "34", "0"))
else:
    BOLD = DIM = GREEN = RED = BLUE = OFF = ""


class Failed(Exception):
    """A step did not show what it must."""


def heading(number, text):
    print(f"\n{BOLD}{BLUE}{number}{OFF}  {BOLD}{text}{OFF}\n{DIM}{'-' * min(WIDTH, len(text) + 3)}{OFF}", flush=True)


def words(text):
    print(textwrap.fill(" ".join(text.split()), WIDTH), flush=True)


def command(text):
    print(f"  {DIM}${OFF} {text}")


def evidence(text, colour=""):
    for line in text.rstrip("\n").split("\n"):
        line = line.expandtabs(4)
        print(f"  {colour}{line if len(line) <= WIDTH - 2 else line[:WIDTH - 5] + '...'}{OFF}")
    sys.stdout.flush()


def whole(text, colour=""):
    """Evidence that may not be cut."""
    for line in text.rstrip("\n").split("\n"):
        for part in textwrap.wrap(line, WIDTH - 2, subsequent_indent="    ") or [""]:
            print(f"  {colour}{part}{OFF}")


def check(holds, text):
    print(f"  {GREEN}yes{OFF} {text}" if holds else f"  {RED}NO{OFF}  {text}", flush=True)
    if not holds:
        raise Failed(text)


def swaks(stack, to, *more, tls=True, source=None, address=None, attachments=(), cc=(), message_id=None):
    """Runs the stock client swaks; returns (exit status, the SMTP dialogue after EHLO). address: says by
    XCLIENT that it comes from there, on the listener of the demo that allows it."""
    argv = ["swaks", "--server", "127.0.0.1", "--port", str(stack.port_elsewhere if address else stack.port), "--from", CLERK,
            "--to", ",".join([to, *cc]), "--helo", "kontor12.eksempel.example",
            "--h-From", f"Saksbehandler <{CLERK}>", "--h-To", to, "--h-Subject", SUBJECT, "--body", TEXT,
            "--header", f"Message-Id: {message_id or '<' + os.urandom(8).hex() + '@eksempel.example>'}"]
    if cc:
        argv += ["--header", "Cc: " + ", ".join(cc)]
    if tls:
        argv += ["--tls"]
    if address:
        argv += ["--xclient", f"NAME=kontor12.eksempel.example ADDR={address}"]
    if source:
        argv += ["--local-interface", source]
    for path, kind in attachments:
        argv += ["--attach-name", path.name, "--attach-type", kind, "--attach", f"@{path}"]
    done = subprocess.run([*argv, *more], capture_output=True, text=True, errors="replace", check=False)
    lines = done.stdout.splitlines()
    dialogue, in_data = [], False
    for line in lines:
        if re.match(r"^ [~-]> \.?$", line) and line.endswith("."):
            in_data = False
        if in_data:
            continue
        if re.match(r"^\s?[<=*~-]", line):
            dialogue.append(line)
        if re.match(r"^<[-~*]+ *354|^<~ +354|^<-  354", line):
            in_data = True
            dialogue.append(" ~> (the mail)")
    return done.returncode, dialogue


def short(dialogue):
    """The part of a dialogue a reader wants: from MAIL FROM on, and what TLS said."""
    keep = [line for line in dialogue if "TLS started" in line]
    start = next((i for i, line in enumerate(dialogue) if "MAIL FROM" in line), 0)
    return "\n".join(keep + [line for line in dialogue[start:] if "QUIT" not in line and "Connection closed" not in line
                             and "221 " not in line])


def show_processes(stack):
    jobs = ((stack.milter, "takes mail from Postfix, makes and seals letters"),
            (stack.lookup, "answers who may be sent what; the register is its own"),
            (stack.transport, "takes sealed messages from Postfix, delivers them"),
            (stack.logmask, "keeps persons out of the front's log"),
            (stack.sandbox, "plays token service, access point and mailboxes"))
    for daemon, job in jobs:
        pids = [daemon.process.pid, *daemon.children()]
        users = subprocess.run(["ps", "-o", "pid=,user:18=", "-p", ",".join(map(str, pids))], capture_output=True,
                               text=True, check=False).stdout
        user = dict(line.split() for line in users.splitlines())
        print(f"  {BOLD}{daemon.name:10}{OFF} {user.get(str(pids[0]), '?'):18} {job}")
        for pid in pids[1:]:
            owner = user.get(str(pid), "?")
            part = "masks, with no rights" if daemon is stack.logmask else \
                "starts readers and signer" if owner == "root" else "signer: the keys are here only"
            print(f"  {DIM}{'':10} {owner:18} {part}{OFF}")
    print()
    for part in (stack.front, stack.sending):
        kind = subprocess.run(["stat", "-f", "-c", "%T", str(part.queue)], capture_output=True, text=True,
                              check=False).stdout.strip()
        evidence(f"Postfix {part.name:6} queue {part.queue} on {kind}")


def play_letter(stack, folder):
    heading(1, "A clerk's mail: text, one PDF, one picture, from a stock client over TLS")
    pdf, png = folder / "vedtak.pdf", folder / "kart.png"
    pdf.write_bytes(files.pdf("Vedtak om barnehageplass"))
    png.write_bytes(files.png())
    words("""The transport is stopped for a moment, so that the letter can be looked at in the queue.""")
    stack.transport.stop()
    command(f"swaks --tls --server 127.0.0.1:{stack.port} --from {CLERK} \\\n        --to {citizen(name='Kari.Nordmann')} "
            "--attach vedtak.pdf --attach kart.png")
    status, dialogue = swaks(stack, citizen(name="Kari.Nordmann"),
                             attachments=[(pdf, "application/pdf"), (png, "image/png")])
    evidence(short(dialogue))
    check(status == 0 and any("250" in line and "queued" in line.lower() or "250 2" in line for line in dialogue[-4:]),
          "the client has its 250: from here the letter is ours")
    return pdf, png


def play_queue(stack):
    heading(2, "What lies in Postfix's queues meanwhile")
    queued = wait_for("the sealed message in the queue", stack.sending.queued)
    check(stack.front.queued() == [], "the front queue (on the RAM disk) is empty: the original was discarded")
    check(len(queued) == 1, "the sending queue holds one message")
    queue_id = queued[0]["queue_id"]
    command(f"postcat -c {stack.sending.config} -q {queue_id}")
    text = stack.sending.postcat(queue_id)
    shown = [line for line in text.splitlines() if not line.startswith("named_attribute")]
    evidence("\n".join(shown[:24]), DIM)
    print(f"  {DIM}... {len(shown) - 24} more lines of base64{OFF}\n")
    raw = b"".join(stack.sending.raw_files().values()) + b"".join(stack.front.raw_files().values())
    needles = [PLAIN.encode(), SUBJECT.encode(), KARI.encode(), b"Kari.Nordmann",
               base64.b64encode(PLAIN.encode())[:24]]
    check(not any(needle in raw for needle in needles),
          "no plain text, no subject, no name and no number in any file of both queues")
    return queue_id


def show_letter(stack, letter):
    command(f"curl {stack.sandbox.url}/sandbox/letters/{letter['id']}")
    notices = "; ".join(f"{WAYS.get(kind, kind)} on days {', '.join(map(str, notice['repetisjoner']))}"
                        for kind, notice in letter["notices"].items())
    for name, value in (("mailbox", f"{letter['mailbox']} at {letter['provider']}"),
                        ("sender", f"{letter['sender']}, signed by {letter['signer']}"),
                        ("before login", letter["public_title"]), ("login level", letter["security_level"]),
                        ("notices", notices)):
        print(f"  {DIM}{name:13}{OFF}{value}")
    for document in letter["documents"]:
        print(f"  {DIM}{'document ' + str(document['n']):13}{OFF}{document['title']:26} {document['mime']:16} "
              f"{document['size']:6} B  {DIM}sha256 {document['sha256'][:16]}...{OFF}")
    print()


def play_mailbox(stack, pdf, png):
    heading(3, "The letter in the citizen's mailbox, decrypted and verified there")
    words("The transport is started again and the queue flushed.")
    stack.transport.start()
    stack.sending.flush()
    letter = stack.wait_letters(1)[0]
    show_letter(stack, letter)
    check("failure" not in letter and letter["statuses"][-1]["status"] == "SENDT",
          "the mailbox opened the package and found signature, chain and every digest right")
    got = [document["sha256"] for document in letter["documents"]]
    for path in (pdf, png):
        want = hashlib.sha256(path.read_bytes()).hexdigest()
        check(want in got, f"SHA-256 of {path.name} in the mailbox equals what the clerk attached: {want[:16]}...")
    return letter


def play_log(stack, queue_id):
    heading(4, "The log line that joins both queue ids, and the front's log, masked")
    line = wait_for("the milter's line about the letter",
                    lambda: next((x for x in stack.milter.text().splitlines() if "letter id=" in x), None))
    whole(line)
    print()
    for name, where in (("queue", "front"), ("submitted", "sending")):
        found = re.search(rf"\b{name}=(\S+)", line)
        print(f"  {DIM}{where + ' instance':18}{OFF} {found.group(1) if found else '-'}")
    check(f"submitted={queue_id}" in line, "the line names the sending queue's id that postcat showed")
    front = [x for x in stack.front.text().splitlines() if CITIZENS in x]
    if front:
        print()
        whole(front[-1], DIM)
    check(KARI not in stack.front.text() and KARI not in stack.milter.text(), "no national number in any of them")


def refusal(stack, number, title, code, *args, **kwargs):
    print(f"\n  {BOLD}{number}{OFF} {title}")
    _, dialogue = swaks(stack, *args, **kwargs)
    answers = [line for line in dialogue if re.match(r"^<[~*-]+", line) and re.search(r"[<*~-]+\s+[45]\d\d", line)]
    whole("\n".join(answers[:1]) or "\n".join(dialogue[-3:]))
    check(any(re.search(rf"\s{code}\b", line) for line in answers), f"answered {code}")


def play_refusals(stack):
    heading(5, "What is refused, in words and at once")
    mistyped = KARI[:-1] + str((int(KARI[-1]) + 1) % 10)
    refusal(stack, "a", "a mistyped national number", "550 5.1.3", citizen(mistyped))
    refusal(stack, "b", "a client that may not send for any agency (another address)", "550 5.7.1", citizen(),
            source="127.0.0.2")
    refusal(stack, "c", "no TLS, from an office network (loopback may do without)", "550 5.7.10", citizen(),
            tls=False, address="192.0.2.7")
    refusal(stack, "d", "an outsider in Cc", "550 5.7.1", citizen(), cc=("kari.nordmann@privat.example",))
    before = len(stack.letters())
    message_id = "<register-down@eksempel.example>"
    stack.lookup.stop()
    refusal(stack, "e", "the register is down", "451 4.4.3", citizen(), message_id=message_id)
    print("\n  It comes back, and the client tries again as mail clients do:")
    stack.lookup.start()
    _, dialogue = swaks(stack, citizen(), message_id=message_id)
    evidence("\n".join(line for line in dialogue if "250 2" in line)[-200:])
    stack.wait_letters(before + 1)
    check(len(stack.letters()) == before + 1, "delivered once")


def say_how_to_use(stack):
    heading("*", "Left running")
    print(textwrap.dedent(f"""\
  send      swaks --tls --server 127.0.0.1:{stack.port} --from {CLERK} \\
              --to {citizen()} --header 'Subject: Hei' --body 'Et brev' \\
              --attach-type application/pdf --attach-name brev.pdf --attach @{stack.dir}/vedtak.pdf
            any mail client can send too: server 127.0.0.1, port {stack.port}, STARTTLS, no login;
            senders @{stacks.AGENCY_DOMAIN}; citizens are in the register of the page below
  look      {stack.sandbox.url}/   (register, mailboxes, letters, faults to switch on)
  queue     postqueue -c {stack.sending.config} -p
  logs      {stack.dir}/log/   (front.log is Postfix's, masked; milter.log says why a mail was refused)
  records   {stack.build}/brevdue -c {stack.conf} letters
  check     {stack.build}/brevdue -c {stack.conf} check
            (calls one thing wrong: the listener on which this demo pretends to be an office network)
  stop      ./run stop
    """))


def keep_state(stack):
    STATE.write_text(json.dumps({
        "folder": str(stack.dir), "port": stack.port, "sandbox_port": stack.sandbox_port,
        "pids": [d.process.pid for d in (stack.milter, stack.transport, stack.lookup, stack.sandbox, stack.logmask)]}))


def stop_kept(build):
    if not STATE.exists():
        print("No demo is running.")
        return 0
    state = json.loads(STATE.read_text())
    stack = Stack(build, folder=state["folder"])
    for part in (stack.front, stack.sending):
        if part.config.exists():
            part.stop()
    for pid in state["pids"]:
        try:  # after a boot the number may be another's
            if state["folder"].encode() not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                continue
            os.kill(pid, 15)
        except (FileNotFoundError, ProcessLookupError):
            continue
        wait_for(f"process {pid} to end", lambda pid=pid: not pathlib.Path(f"/proc/{pid}").exists())
    stack.undo_postfix()
    shutil.rmtree(state["folder"], ignore_errors=True)
    STATE.unlink()
    print("Stopped and removed.")
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--stop", action="store_true")
    args = parser.parse_args()
    if args.stop:
        return stop_kept(args.build)
    if os.geteuid() != 0:
        print("The demo starts Postfix, which only root can.", file=sys.stderr)
        return 1
    if STATE.exists():
        print("A demo is running already; ./run stop stops it.", file=sys.stderr)
        return 1
    began = time.monotonic()
    heading(0, "The parts: two private Postfix instances, three daemons under three users, the sandbox")
    stack = Stack(args.build)
    done = False
    try:
        stack.start()
        show_processes(stack)
        pdf, png = play_letter(stack, stack.dir)
        queue_id = play_queue(stack)
        play_mailbox(stack, pdf, png)
        play_log(stack, queue_id)
        play_refusals(stack)
        done = True
        print(f"\n{BOLD}{GREEN}All of it happened, in {time.monotonic() - began:.0f} s.{OFF}")
    except (Failed, stacks.NotReady, AssertionError) as wrong:
        print(f"\n{RED}The demo failed: {wrong}{OFF}\n\n{stack.tails()}", file=sys.stderr)
    finally:
        if done and args.keep:
            keep_state(stack)
            say_how_to_use(stack)
        else:
            stack.stop()
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
