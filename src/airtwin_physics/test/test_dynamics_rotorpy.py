# SPDX-License-Identifier: Apache-2.0
"""Our trajectories against RotorPy's, an independent simulator, for the same motor speeds.

data/rotorpy_trajectories.json: RotorPy 3.0.0's Multirotor with its Hummingbird, motor speeds
commanded and held, stepped 20 times by 0.05 s with scipy's DOP853 (rtol 1e-11), from five states;
written by a script that sets the parameters in "zeroed" to 0, calls ``step`` and prints what it
returns.

The models differ, and what differs is off in the cases that must agree to 1e-6 (they do to 1e-7):

* translational lift (RotorPy's k_h) is not in ours; body drag is |v| v_i there, |v_i| v_i here:
  equal along one axis only; the reaction torque is k_m w^2 there, k_m / k_eta times the thrust
  here: equal without inflow (k_z 0) or with all rotors alike; rotor inertia is not in RotorPy.

"everything" has them all on and shows how much they matter.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airtwin_core import aircraft as aircraft_files
from airtwin_core import frames
from airtwin_core.aircraft import Aircraft
from airtwin_core.types import Array
from airtwin_physics import dynamics
from airtwin_physics.dynamics import POS, QUAT, RATE, ROTOR, VEL

TABLE = json.loads((Path(__file__).parent / "data" / "rotorpy_trajectories.json").read_text())
FLIP = np.diag([1.0, -1.0, -1.0])  # FLU to FRD; and the world, x north, y west, z up, to NED
SUBSTEPS = 100


def _hummingbird(zeroed: list[str]) -> Aircraft:
    """Return RotorPy's parameters as an aircraft of ours, with a battery that never sags."""
    p: dict[str, Any] = TABLE["parameters"] | dict.fromkeys(zeroed, 0.0)
    x500 = aircraft_files.load("x500")
    rotor = dataclasses.replace(
        x500.rotors,
        thrust_n_s2=p["k_eta"],
        moment_m=p["k_m"] / p["k_eta"],
        drag_n_s2_m=p["k_d"],
        rolling_moment_n_s2=p["k_flap"],
        inflow_n_s2_m=p["k_z"],
        time_constant_up_s=p["tau_m"],
        time_constant_down_s=p["tau_m"],
        speed_min_rad_s=p["rotor_speed_min"],
        speed_max_rad_s=p["rotor_speed_max"],
        radius_m=1e-6,  # no ground effect in RotorPy; at 50 m ours is still 7e-7 of the thrust
    )
    drag = np.array([p["c_Dx"], p["c_Dy"], p["c_Dz"]]) / (0.5 * dynamics.AIR_DENSITY_KG_M3)
    places = np.array([p["rotor_pos"][key] for key in p["rotor_pos"]]) @ FLIP
    return dataclasses.replace(
        x500,
        mass_kg=p["mass"],
        inertia_frd_kg_m2=np.diag([p["Ixx"], p["Iyy"], p["Izz"]]),
        rotor_positions_frd_m=places,
        # RotorPy's +1 pushes the body to the left (up is +z); ours turns clockwise and does too
        rotor_turns=np.array(p["rotor_directions"], dtype=np.float64),
        rotor_inertia_kg_m2=0.0,
        rotors=rotor,
        drag_area_frd_m2=drag,
        battery=dataclasses.replace(x500.battery, speed_per_volt_rad_s_v=1e6),
    )


def _ours(row: list[float]) -> Array:
    x = np.zeros(ROTOR + 4)
    x[POS], x[VEL] = FLIP @ row[0:3], FLIP @ row[3:6]
    x[QUAT] = np.array([row[9], row[6], -row[7], -row[8]])  # both frames turned by half a turn
    x[RATE] = FLIP @ row[10:13]
    x[dynamics.TEMPERATURE] = 25.0
    x[ROTOR:] = row[13:17]
    return x


def _errors(name: str) -> dict[str, float]:
    """Return the largest difference to RotorPy over the whole flight, by kind."""
    case = TABLE["cases"][name]
    aircraft = _hummingbird(case["zeroed"])
    model = dynamics.pack(aircraft)
    wind = FLIP @ case["wind_m_s"]
    u = np.array(case["commands_rad_s"]) / aircraft.rotors.speed_max_rad_s
    dt = TABLE["step_s"] / SUBSTEPS
    extra = dynamics.GRAVITY_M_S2 - TABLE["gravity_m_s2"]  # RotorPy's g is 9.81
    x = _ours(case["rows"][0])
    worst = dict.fromkeys(("position", "velocity", "turn", "rate", "rotor"), 0.0)
    for row in case["rows"][1:]:
        for _ in range(SUBSTEPS):
            x[5] -= 0.5 * extra * dt  # half a kick before and after each step: second order
            x = dynamics.step(x, u, model, wind, dt)
            x[5] -= 0.5 * extra * dt
        theirs = _ours(row)
        assert np.all(np.isfinite(x))
        turned = frames.rotation_from_quat(x[QUAT]) - frames.rotation_from_quat(theirs[QUAT])
        for key, value in (
            ("position", np.linalg.norm(x[POS] - theirs[POS])),
            ("velocity", np.linalg.norm(x[VEL] - theirs[VEL])),
            ("turn", np.max(np.abs(turned))),
            ("rate", np.linalg.norm(x[RATE] - theirs[RATE])),
            ("rotor", np.max(np.abs(x[ROTOR:] - theirs[ROTOR:]))),
        ):
            worst[key] = max(worst[key], float(value))
    return worst


@pytest.mark.parametrize("name", ["hover_step", "forward_drag", "tumbling", "inflow"])
def test_same_parameters_give_the_same_flight(name: str) -> None:
    worst = _errors(name)
    rows = np.array(TABLE["cases"][name]["rows"])
    assert np.ptp(rows[:, :3], axis=0).max() > 0.3, "nothing moved: nothing was compared"
    # after a second; the step of 0.5 ms and the split kick of gravity leave some 1e-7
    assert worst["position"] < 1e-6  # [m]
    assert worst["velocity"] < 1e-6
    assert worst["turn"] < 1e-6
    assert worst["rate"] < 1e-6
    assert worst["rotor"] < 1e-5


def test_what_the_models_do_not_share_is_seen_and_small() -> None:
    worst = _errors("everything")
    # translational lift at 6 m/s: 4 * 3.39e-3 * v^2 = 0.2 to 0.5 N of 4.9 N
    assert 0.02 < worst["position"] < 1.0
    assert worst["rotor"] < 1e-5
