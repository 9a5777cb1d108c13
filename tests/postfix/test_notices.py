# SPDX-License-Identifier: Apache-2.0
"""Postfix's own notices about sealed messages: they come to the transport, never to the clerk."""

import os
import re
import subprocess

import pytest

from stack import CITIZENS, KARI, Stack, mail, wait_for

BUILD = os.environ.get("BREVDUE_BUILD", "build")


def settings(postfix, *lines):
    postfix.command("postconf", "-c", postfix.config, *lines)
    postfix.postfix("reload")


@pytest.mark.skipif(os.geteuid() != 0, reason="a private Postfix needs root")
def test_bounce_ends_the_letter_and_the_clerks_resend_is_a_new_one():
    message = mail(to=[f"{KARI}@{CITIZENS}"], text="Hei Kari.")
    with Stack(BUILD) as stack:
        stack.sandbox.stop()
        assert stack.send(to=[f"{KARI}@{CITIZENS}"], message=message)[0] == 250
        wait_for("a first attempt", lambda: "result=later" in stack.transport.text())
        letter = re.search(r"letter id=(\w+)", stack.transport.text())[1]

        settings(stack.sending, "maximal_queue_lifetime=1s")

        def bounced():
            for queued in stack.sending.queued():
                stack.sending.command("postqueue", "-c", stack.sending.config, "-i",
                                      queued["queue_id"], check=False)
            return f"letter id={letter} queue notice: bounce action=failed" in stack.transport.text()

        wait_for("Postfix's bounce", bounced)
        wait_for("an empty queue", lambda: not stack.sending.queued())
        assert "to=<kari.saksbehandler@" not in stack.sending.text()  # the clerk hears it from us

        settings(stack.sending, "maximal_queue_lifetime=1d")
        stack.sandbox.start()
        assert stack.send(to=[f"{KARI}@{CITIZENS}"], message=message)[0] == 250
        stack.wait_letters(1)
        shown = subprocess.run([f"{BUILD}/brevdue", "-c", stack.conf, "letter", letter], check=True,
                               capture_output=True, text=True).stdout
        kinds = re.findall(r"Z  (\w+) ", shown)
        assert "bounce" in kinds and kinds[kinds.index("bounce") + 1:][:3] == ["queued", "intent", "sent"]
        assert re.search(r"queued +gen=1", shown)
