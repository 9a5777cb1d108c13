# SPDX-License-Identifier: Apache-2.0
"""What all programs have in common at their command line."""

import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("BREVDUE_BUILD", pathlib.Path(__file__).parents[2] / "build")).resolve()


@pytest.mark.parametrize("argv", [["brevdue", "check"], ["brevdue-milter"], ["brevdue-lookup"], ["brevdue-transport"]],
                         ids=lambda argv: argv[0])
def test_the_configuration_is_where_its_sample_says(argv):
    """Without -c, and whatever the prefix is."""
    if os.path.exists("/etc/brevdue/brevdue.conf"):
        pytest.skip("brevdue is set up on this machine")
    done = subprocess.run([BUILD / argv[0], *argv[1:]], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert "/etc/brevdue/brevdue.conf: No such file" in done.stderr and "local" not in done.stderr
