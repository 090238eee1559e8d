# SPDX-License-Identifier: Apache-2.0
"""The kernel is the plain reference, for every aircraft, anywhere."""

from __future__ import annotations

import numpy as np
import plain_dynamics as plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airtwin_core import aircraft as aircraft_files
from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.dynamics import CHARGE, POLARISATION, POS, QUAT, RATE, ROTOR, TEMPERATURE, VEL

NAMES = sorted(p.stem for p in (aircraft_files.folder("config") / "aircraft").glob("*.yaml"))
AIRCRAFT = {name: aircraft_files.load(name) for name in NAMES}
MODELS = {name: dynamics.pack(a) for name, a in AIRCRAFT.items()}


def random_state(a: Aircraft, rng: np.random.Generator, *, low: bool) -> Array:
    """Return any state: tumbling, backwards, feet in the ground where ``low``."""
    x = np.zeros(ROTOR + a.rotor_count + len(a.servos))
    x[POS] = rng.normal(0.0, 5.0, 3)
    x[2] = rng.uniform(-0.05, 0.05) if low else -50.0
    x[VEL] = rng.normal(0.0, 2.0 if low else 12.0, 3)
    x[QUAT] = rng.normal(size=4) + ([20.0, 0.0, 0.0, 0.0] if low else np.zeros(4))
    x[QUAT] /= np.linalg.norm(x[QUAT])
    x[RATE] = rng.normal(0.0, 2.0, 3)
    x[CHARGE] = rng.uniform(0.0, 3500.0) * a.battery.capacity_ah
    x[POLARISATION], x[TEMPERATURE] = rng.uniform(0.0, 0.3), rng.uniform(-10.0, 60.0)
    for i in range(a.rotor_count):
        x[ROTOR + i] = rng.uniform(0.0, a.rotor(i).speed_max_rad_s)
    x[ROTOR + a.rotor_count :] = rng.uniform(-0.5, 0.5, len(a.servos))
    return x


def random_input(a: Aircraft, rng: np.random.Generator) -> Array:
    """Return commands, some beyond their range, some NaN."""
    u = rng.uniform(-1.3, 1.3, a.rotor_count + len(a.servos))
    u[rng.uniform(size=u.size) < 0.1] = np.nan
    return u


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), low=st.booleans())
def test_kernel_equals_the_plain_reference(name: str, seed: int, low: bool) -> None:
    rng = np.random.default_rng(seed)
    a = AIRCRAFT[name]
    x, u, wind = random_state(a, rng, low=low), random_input(a, rng), rng.normal(0.0, 5.0, 3)
    got = dynamics.derivative(x, u, MODELS[name], wind)
    wanted = plain.derivative(x, u, a, wind)
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-8)
    assert np.all(np.isfinite(got))
