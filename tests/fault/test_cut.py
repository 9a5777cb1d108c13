# SPDX-License-Identifier: Apache-2.0
"""The milter's own submission loses its connection after the final dot: the sending instance has the
message, the milter does not know. Treated as not queued; the copies make one letter."""

import re

import pytest

from cutter import Cutter
from stack import KARI, OLA, citizen, mail, wait_for


@pytest.fixture
def cut(ready):
    """cut(n): submissions pass a relay that cuts the first n."""
    original = ready.conf.read_text(encoding="utf-8")
    service = re.search(r'submit-seal = "(.*)"', original)[1]
    started = []

    def start(cuts):
        relay = Cutter(ready.dir / "run/cutter", service, cuts).__enter__()
        started.append(relay)
        ready.conf.write_text(original.replace(f'submit-seal = "{service}"', f'submit-seal = "{relay.path}"'))
        ready.milter.kill()
        ready.milter.start()
        return relay

    yield start
    for relay in started:
        relay.__exit__()
    ready.conf.write_text(original)
    ready.milter.kill()
    ready.milter.start()


def copies_taken(stack, title, relay, letters):
    wait_for("an empty queue", lambda: (stack.sending.flush(), not stack.sending.queued())[1])
    assert relay.done > 0
    assert len(stack.titled(title)) == letters


def test_cut_after_the_dot_is_451_and_the_clients_retry_makes_no_second_letter(ready, cut, title):
    relay = cut(1)
    message = mail(to=citizen(), subject=title)
    code, text = ready.send(citizen(), message=message)
    assert code == 451, text
    assert ready.send(citizen(), message=message)[0] == 250
    copies_taken(ready, title, relay, 1)


def test_cut_after_the_dot_of_the_first_of_two(ready, cut, title):
    relay = cut(1)
    to = [citizen(KARI), citizen(OLA)]
    message = mail(to=to, subject=title)
    assert ready.send(to, message=message)[0] == 451
    assert ready.send(to, message=message)[0] == 250
    copies_taken(ready, title, relay, 2)


def test_a_client_that_never_retries_has_a_letter_at_most(ready, cut, title):
    """The sender heard 451 and gives up: the letter may have gone, but once."""
    relay = cut(1)
    assert ready.send(citizen(), subject=title)[0] == 451
    copies_taken(ready, title, relay, 1)
