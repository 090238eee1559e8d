# SPDX-License-Identifier: Apache-2.0
"""PX4's THR_MDL_FAC: against its own equation, and there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airtwin_core.thrust_curve import signal, thrust

SHARES = st.floats(0.0, 1.0)


@given(SHARES, SHARES)
def test_thrust_of_the_signal_is_the_thrust(commanded, factor):
    x = signal(np.array([commanded]), factor)
    assert 0.0 <= x[0] <= 1.0 + 1e-12
    assert factor * x[0] ** 2 + (1.0 - factor) * x[0] == pytest.approx(commanded, abs=1e-9)
    assert thrust(x, factor)[0] == pytest.approx(commanded, abs=1e-9)


def test_of_no_factor_the_bits_stay_and_nan_is_a_motor_that_stands():
    commands = np.array([0.1, 0.3, np.nan, -0.2, 1.0])
    assert signal(commands, 0.0).tobytes() == commands.tobytes()
    assert thrust(commands, np.array([0.0])).tobytes() == commands.tobytes()
    bent = signal(commands, 0.3)
    assert np.isnan(bent[2])
    assert bent[3] == -signal(np.array([0.2]), 0.3)[0]
    # 4052_holybro_qav250 sets 0.3: a hover command of 0.3 is a signal of 0.37
    assert bent[1] == pytest.approx((-0.7 + np.sqrt(0.49 + 4 * 0.3 * 0.3)) / 0.6)
