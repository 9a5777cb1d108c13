# SPDX-License-Identifier: Apache-2.0
"""What all Python tests share: the running system, started once for a run. Its tests tell their letters
apart by title and leave everything running as they found it."""

import os
import pathlib
import secrets
import shutil
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))


def why_not():
    if os.geteuid() != 0:
        return "a private Postfix needs root"
    if shutil.which("postfix") is None:
        return "Postfix is not installed"
    return None


@pytest.fixture(scope="session")
def stack():
    from stack import Stack
    if why_not():
        pytest.skip(why_not())
    with Stack(os.environ.get("BREVDUE_BUILD", str(ROOT / "build"))) as running:
        yield running


@pytest.fixture
def ready(stack):
    """The running system with nothing in the sending queue and all daemons up."""
    for daemon in (stack.lookup, stack.transport, stack.milter, stack.logmask):
        if not daemon.running():
            daemon.start()
    for instance in (stack.sending, stack.front):
        if not instance.running():
            instance.start()
    stack.sandbox.ask("/sandbox/faults", method="DELETE")
    stack.sending.flush()
    stack.settle()
    return stack


@pytest.fixture
def title():
    """A title no other letter has."""
    return f"Vedtak {secrets.token_hex(6)}"
