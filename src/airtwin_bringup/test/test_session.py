# SPDX-License-Identifier: Apache-2.0
"""How a run that a person watches ends."""

import signal
from pathlib import Path

import pytest

from airtwin_bringup import attach, session
from airtwin_bringup.graph import Mode
from airtwin_bringup.session import Session


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_a_run_in_order(number):
    before = signal.getsignal(number)
    with session._interrupts() as interrupts:
        assert interrupts() == 0
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert interrupts() == 2
    assert signal.getsignal(number) is before


class Watch:
    """A watch whose aircraft fly until the test says otherwise."""

    airborne = True
    landed = False

    def __init__(self):
        self.recalled = []

    def over(self, vehicles):
        return self.landed

    def recall(self, vehicles):
        self.recalled.append(vehicles)


def made(*, commands):
    return Session((), ("px4_1",), Path("out"), "test", commands=commands)


def test_aircraft_that_the_twin_flies_are_asked_to_return_before_it_leaves():
    watch = Watch()
    assert session._recalled(made(commands=True), watch)
    assert watch.recalled == [("px4_1",)]
    watch.landed = True
    assert not session._recalled(made(commands=True), watch)


def test_aircraft_that_it_only_watches_are_left_alone():
    watch = Watch()
    assert not session._recalled(made(commands=False), watch)
    assert watch.recalled == []


def test_mode_twin_has_no_duration_that_would_leave_the_aircraft_in_the_air(tmp_path):
    with pytest.raises(ValueError, match="duration"):
        attach.session(
            ("px4_1",),
            Mode.TWIN,
            mission=tmp_path / "m.plan",
            arming=False,
            zones=None,
            out=tmp_path,
            flight_max_s=10.0,
            plain=True,
        )
