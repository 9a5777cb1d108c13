# SPDX-License-Identifier: Apache-2.0
"""brevdue logmask on a FIFO of its own: nothing lost, nothing unmasked, whatever happens to it."""

import os
import signal
import subprocess

import pytest

from stack import Stack, wait_for

LINE = "smtpd[1]: ABC: to=<Kari.Nordmann.01819090013@innbygger.eksempel.example>, nr={}\n"
MASKED = "smtpd[1]: ABC: to=<***@innbygger.eksempel.example>, nr={}\n"


@pytest.fixture
def running(tmp_path):
    built = Stack(os.environ.get("BREVDUE_BUILD", "build"), folder=tmp_path)
    for name in ("etc", "log", "front/etc"):
        (tmp_path / name).mkdir(parents=True)
    built.conf.write_text(built.configuration())
    os.mkfifo(built.front.config / "maillog.fifo", 0o600)
    built.logmask.start()
    yield built
    built.logmask.stop()


def write(built, numbers):
    fifo = os.open(built.front.config / "maillog.fifo", os.O_WRONLY | os.O_NONBLOCK)
    os.set_blocking(fifo, True)
    for number in numbers:
        os.write(fifo, LINE.format(number).encode())
    os.close(fifo)


def expect(built, numbers, path=None):
    text = "".join(MASKED.format(n) for n in numbers)
    path = path or built.front.log
    wait_for("the masked lines", lambda: path.exists() and path.read_text() == text)


def status(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        return next(line for line in lines if line.startswith(field + ":")).split()[1:]


def test_lines_are_masked_in_order(running):
    write(running, range(2000))
    expect(running, range(2000))


def test_a_killed_worker_loses_nothing(running):
    for step in range(5):
        worker, = running.logmask.children()
        os.kill(worker, signal.SIGSTOP)
        write(running, range(step * 100, step * 100 + 100))
        os.kill(worker, signal.SIGKILL)
        wait_for("another worker", lambda worker=worker: [p for p in running.logmask.children() if p != worker])
    expect(running, range(500))
    assert running.logmask.text().count("starting another") == 5


def test_a_rotated_file_is_left_alone(running):
    write(running, range(3))
    expect(running, range(3))
    moved = running.front.log.with_suffix(".1")
    running.front.log.rename(moved)
    wait_for("the new file", running.front.log.exists)
    write(running, range(3, 6))
    expect(running, range(3, 6))
    expect(running, range(3), moved)


def test_ending_writes_what_lies_in_the_fifo(running):
    """The worker is told while it waits for lines, and lines are there when it looks again."""
    write(running, [0])
    expect(running, [0])
    worker, = running.logmask.children()
    wait_for("the worker to wait", lambda: status(worker, "State")[0] == "S")
    os.kill(worker, signal.SIGSTOP)
    wait_for("the worker to stop", lambda: status(worker, "State")[0] == "T")
    write(running, range(1, 300))
    running.logmask.process.send_signal(signal.SIGTERM)
    wait_for("the worker to be told", lambda: int(status(worker, "ShdPnd")[0], 16) & 1 << signal.SIGTERM - 1)
    os.kill(worker, signal.SIGCONT)
    assert running.logmask.process.wait(20) == 0
    expect(running, range(300))


def test_a_killed_parent_leaves_the_place_to_the_next(running):
    worker, = running.logmask.children()
    wait_for("the worker to wait", lambda: status(worker, "State")[0] == "S")
    running.logmask.kill()
    running.logmask.start()
    write(running, range(3))
    expect(running, range(3))


def test_a_second_reader_is_refused(running):
    second = subprocess.run([*running.logmask.argv], capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 1 and "another brevdue logmask" in second.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")
def test_the_worker_has_no_privileges(running):
    worker, = running.logmask.children()
    wait_for("the worker to give up root", lambda: "0" not in status(worker, "Uid"))


def test_an_endless_line_is_left_out(running):
    fifo = os.open(running.front.config / "maillog.fifo", os.O_WRONLY)
    os.write(fifo, b"01819090013 " * 20000 + b"\n")
    os.close(fifo)
    write(running, [1])
    wait_for("the line after it", lambda: MASKED.format(1) in running.front.log.read_text())
    text = running.front.log.read_text()
    assert "01819090013" not in text and "left out" in text
