# SPDX-License-Identifier: Apache-2.0
"""The running system for the tests of this folder, started once: they count what is new, not what is
there, and leave it running as they found it."""

import os
import shutil

import pytest

from stack import Stack, wait_for


def needs():
    if os.geteuid() != 0:
        return "a private Postfix needs root"
    if shutil.which("postfix") is None:
        return "Postfix is not installed"
    return None


@pytest.fixture(scope="session")
def stack():
    if needs():
        pytest.skip(needs())
    with Stack(os.environ.get("BREVDUE_BUILD", "build")) as running:
        yield running


@pytest.fixture
def ready(stack):
    """The running system with nothing in the sending queue and all daemons up."""
    for daemon in (stack.lookup, stack.transport, stack.milter, stack.logmask):
        if not daemon.running():
            daemon.start()
    stack.sending.flush()
    wait_for("the sending queue to run empty", lambda: not stack.sending.queued())
    return stack
