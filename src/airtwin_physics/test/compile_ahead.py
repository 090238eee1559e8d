# SPDX-License-Identifier: Apache-2.0
"""Compiles, as a process beside the tests, the kernels of the virtual aircraft and their rollouts.

They take a minute of one core and are needed late, while most tests use one core: where there are
two, nobody waits for them. numba's cache takes writes from several processes at once.
"""

from __future__ import annotations

import numpy as np

from airtwin_core import aircraft
from airtwin_physics.control import virtual
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.control.tailsitter import TailsitterAircraft
from airtwin_physics.control.vtol import VtolAircraft
from airtwin_physics.control.wing_aircraft import WingAircraft
from airtwin_physics.rollout import draw, rollouts, start
from airtwin_physics.rollout.plan import Plan, Waypoint

PLAN = Plan((Waypoint((300.0, 0.0, -100.0)), Waypoint((300.0, 300.0, -100.0))))
FLIES = start.supposed(np.array([0.0, 0.0, -100.0]), np.array([22.0, 0.0, 0.0]))
WIND = draw.Wind((3.0, 0.0, 0.0), gust=1.0)
LEGS = np.array([[300.0, 0.0, -100.0, np.nan, 0.0, 0.0]])


def main() -> None:
    """Fly each kind of aircraft for an instant, by rollout and by itself."""
    for name in ("x500", "standard_vtol", "tailsitter", "aerosonde"):
        rng, craft = np.random.default_rng(0), aircraft.load(name)
        rollouts.rollout(FLIES, PLAN, WIND, 1, 0.2, rng, aircraft=craft)
    for make, name in (
        (VtolAircraft, "standard_vtol"),
        (TailsitterAircraft, "tailsitter"),
        (WingAircraft, "aerosonde"),
    ):
        flown = make(aircraft.load(name))
        flown.follow(LEGS)
        flown.advance(0.1, np.zeros(3))
    one, setpoint = (
        virtual.VirtualAircraft(aircraft.load("x500")),
        virtual.new_setpoint(Px4Params()),
    )
    one.advance(setpoint, 0.1, np.zeros(3))


if __name__ == "__main__":
    main()
