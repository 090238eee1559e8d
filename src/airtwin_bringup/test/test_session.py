# SPDX-License-Identifier: Apache-2.0
"""How a run that a person watches ends."""

import signal

import pytest

from airtwin_bringup import session


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_a_run_in_order(number):
    before = signal.getsignal(number)
    with session._interrupt() as interrupted:
        assert not interrupted()
        signal.raise_signal(number)
        assert interrupted()
    assert signal.getsignal(number) is before
