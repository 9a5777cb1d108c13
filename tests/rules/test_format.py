# SPDX-License-Identifier: Apache-2.0
"""clang-format decides the C, and nothing in the tree could be a person's number."""
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tracked(*suffixes):
    out = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=False)
    if out.returncode != 0:
        pytest.skip("not a git checkout: nothing says which files are ours")
    files = [ROOT / name for name in out.stdout.decode().split("\0") if name]
    return [p for p in files if p.is_file() and (not suffixes or p.suffix in suffixes)]


def test_c_is_formatted():
    if shutil.which("clang-format") is None:
        pytest.skip("clang-format is not installed")
    files = [str(p) for p in tracked(".c", ".h")]
    out = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], capture_output=True,
                         text=True, check=False)
    assert out.returncode == 0, out.stderr[:3000]


def check_digits_fit(number):
    """Old and 2032 rule (spec/krr.md 14)."""
    d = [int(c) for c in number]
    r1 = sum(a * b for a, b in zip(d, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1))) % 11
    r2 = sum(a * b for a, b in zip(d, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))) % 11
    return r1 in (0, 1, 2, 3) and r2 == 0


def could_be_a_person(number):
    day, month = int(number[:2]), int(number[2:4])
    return 1 <= month <= 12 and 1 <= day % 40 <= 31 and day <= 71 and check_digits_fit(number)


def test_only_synthetic_national_numbers():
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number in re.findall(r"(?<!\d)\d{11}(?!\d)", text):
            if could_be_a_person(number):
                found.append(f"{path.relative_to(ROOT)}: {number[:6]}*****")
    assert found == []


def test_the_number_check_can_find_one():
    assert could_be_a_person("301082" + "99920") and not could_be_a_person("01819090013")
