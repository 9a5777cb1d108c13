#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the unit programs and pytest and adds their results up.

    suite.py BUILD [--long] [pytest arguments]

The last line is "N passed, N failed", followed by ", N skipped" when there are any; the exit
status is 0 only when something passed and nothing failed. With arguments for pytest the unit
programs are left out. --long sets BREVDUE_LONG for tests that take long, runs all of it in
BUILD-sanitizers too, and then the Postfix tests ten times more.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNIT_TIME_LIMIT = 120
POSTFIX_ROUNDS = 10


def unit_programs(build):
    text = subprocess.run(["make", "-s", "-C", build, "list-unit-tests"], check=True,
                          capture_output=True, text=True).stdout
    return text.split()


def run_unit(build, program):
    """Passed, failed, skipped of one cmocka program, read from its TAP lines."""
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", srcdir=ROOT)
    try:
        done = subprocess.run([os.path.join(build, program)], cwd=build, env=env, text=True,
                              stdin=subprocess.DEVNULL, errors="replace", timeout=UNIT_TIME_LIMIT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        status, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        status, output = f"no end in {UNIT_TIME_LIMIT} s", (late.stdout or b"").decode()
    passed = failed = skipped = 0
    for line in output.splitlines():
        if re.match(r"(not )?ok \d+ .*# SKIP", line):  # Debian 12's cmocka writes "not ok 13 # SKIP name"
            skipped += 1
        elif line.startswith("not ok"):
            failed += 1
        elif line.startswith("ok"):
            passed += 1
    if status != 0 and failed == 0:
        failed = 1  # died, or complained after its last test (sanitizers)
    if failed:
        print(f"FAILED {program} (status {status})\n{output}")
    return passed, failed, skipped


def sanitizer_reports(folder):
    """Prints and counts what daemons built with sanitizers complained about, also in tests that passed."""
    names = os.listdir(folder)
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as report:
            print(f"FAILED {name}\n{report.read()}")
    return len(names)


def run_pytest(build, arguments, long_too):
    """Passed, failed, skipped of the Python tests."""
    with tempfile.TemporaryDirectory(prefix="bd-reports-") as folder:
        os.chmod(folder, 0o1777)  # the daemons run under several users
        passed, failed, skipped = run_pytest_reporting_to(folder, build, arguments, long_too)
        return passed, failed + sanitizer_reports(folder), skipped


def run_pytest_reporting_to(folder, build, arguments, long_too):
    to_folder = f"log_path={folder}/sanitizer"
    env = dict(os.environ, BREVDUE_BUILD=build, PYTHONDONTWRITEBYTECODE="1",
               PYTHONPATH=os.path.join(ROOT, "tests", "lib"), ASAN_OPTIONS=to_folder,
               UBSAN_OPTIONS=f"{to_folder}:print_stacktrace=1")
    if long_too:
        env["BREVDUE_LONG"] = "1"
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        status = subprocess.run(
            ["/usr/bin/python3", "-m", "pytest", "-q", "-rs", "--tb=short", "-p", "no:cacheprovider",
             f"--junit-xml={report.name}", *(arguments or ["tests"])], cwd=ROOT, env=env).returncode
        if status == 5:  # no tests collected
            return 0, 0, 0
        try:
            suite = ElementTree.parse(report.name).getroot().find("testsuite")
        except ElementTree.ParseError:
            return 0, 1, 0
    total, skipped = int(suite.get("tests")), int(suite.get("skipped"))
    failed = int(suite.get("failures")) + int(suite.get("errors"))
    if status != 0 and failed == 0:
        failed = 1
    return max(0, total - skipped - failed), failed, skipped


def run_all(build, arguments, long_too):
    """Passed, failed, skipped of the unit programs, unless there are arguments, and of pytest."""
    results = []
    if not arguments:
        results = [run_unit(build, program) for program in unit_programs(build)]
        print(f"unit programs: {sum(r[0] for r in results)} passed, {sum(r[1] for r in results)} failed", flush=True)
    results.append(run_pytest(build, arguments, long_too))
    return [sum(column) for column in zip(*results)]


def main():
    build, arguments = os.path.abspath(sys.argv[1]), sys.argv[2:]
    long_too = "--long" in arguments
    arguments = [a for a in arguments if a != "--long"]
    rounds = [(build, arguments)]
    if long_too:
        rounds.append((build + "-sanitizers", arguments))
    if long_too and not arguments:
        rounds += [(build, ["tests/postfix"])] * POSTFIX_ROUNDS
    started = time.monotonic()
    passed, failed, skipped = (sum(column) for column in zip(*(run_all(*r, long_too) for r in rounds)))
    print(f"{time.monotonic() - started:.0f} s")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
