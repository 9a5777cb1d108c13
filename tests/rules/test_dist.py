# SPDX-License-Identifier: Apache-2.0
"""The tarball holds every file of the checkout, so that it builds and runs ./run test too."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_tarball_is_complete(tmp_path):
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: nothing says which files are ours")
    ours = {name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()}
    made = subprocess.run(["make", "-C", os.environ.get("BREVDUE_BUILD", "build"), "distdir",
                           f"distdir={tmp_path / 'dist'}"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    packed = {p.relative_to(tmp_path / "dist").as_posix() for p in (tmp_path / "dist").rglob("*") if p.is_file()}
    assert ours - packed == set()
    assert not [name for name in packed if "__pycache__" in name]
