# SPDX-License-Identifier: Apache-2.0
"""What is known of an aircraft's drag before it flies."""

from __future__ import annotations

import numpy as np

from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.dynamics import AIR_DENSITY_KG_M3
from airtwin_physics.ekf.kernel import GRAVITY_M_S2

_UP = -0.9  # FRD z of the axis of a rotor that lifts


class Air:
    """Drag per mass across the rotor discs, f = -c (1 + B |v|) v along FRD x and y.

    ``drag_1_s``: c at hover, of the rotors; ``drag_sigma`` [-] of its logarithm, thus of all drag;
    ``bend_s_m`` (2,): B, the body's drag over that of the rotors. What an aircraft's file does not
    say, because it has no lift rotors or no coefficient for their drag, is as broad as without a
    file; ``by_file``: it said so.
    """

    def __init__(self, config: EstimatorConfig, aircraft: Aircraft | None = None) -> None:
        c = config
        self.drag_1_s, self.drag_sigma, self.by_file = c.drag_1_s, c.drag_sigma, False
        self.bend_s_m: Array = np.full(2, c.drag_quadratic_1_m / c.drag_1_s)
        if aircraft is None:
            return
        mass, rotor = aircraft.mass_kg, aircraft.rotors
        count = int(np.sum(aircraft.rotor_axes_frd[:, 2] < _UP))  # pushers stand in a hover
        if count and rotor.drag_n_s2_m > 0.0:
            hover_rad_s = np.sqrt(mass * GRAVITY_M_S2 / (count * rotor.thrust_n_s2))
            self.drag_1_s = float(count * rotor.drag_n_s2_m * hover_rad_s / mass)
            self.drag_sigma, self.by_file = c.drag_file_sigma, True
        quadratic_1_m = 0.5 * AIR_DENSITY_KG_M3 * aircraft.drag_area_frd_m2[:2] / mass
        self.bend_s_m = quadratic_1_m / self.drag_1_s
