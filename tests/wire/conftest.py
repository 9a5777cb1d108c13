# SPDX-License-Identifier: Apache-2.0
"""What the wire tests share."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from sandbox_client import Sandbox  # noqa: E402


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    """One sandbox for all tests; a first start makes keys, which takes seconds."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox") / "dir")
    yield sandbox
    assert sandbox.stop() == 0


@pytest.fixture
def sandbox(running):
    """That sandbox without faults left over."""
    yield running
    running.json("/sandbox/faults", method="DELETE")
