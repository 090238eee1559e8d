# SPDX-License-Identifier: Apache-2.0
"""How well PX4's laws keep a wing on its way; a part of ``./airtwin bench physics``.

Flights of ``airtwin_physics.control``'s virtual aircraft, state and wind known to the laws. Wing:
the Aerosonde on squares of 800 m in 5 m/s of wind from eight directions, judged on the middle of
each side (400 m after the corner to 80 m before the next) and as a whole; circles of 100 and 150
m; a descent of 100 m. Quad-plane: standard_vtol from hover to the wing and back, wind of 0, 3 and
6 m/s from four directions.

Keys. ``wing_cross_track_rms_m``: worst RMS distance from a side; ``..._median_m`` of all sides.
``wing_height_error_m``, ``wing_airspeed_error_m_s``: worst on the sides. ``wing_corner_m``: how
near each corner is passed, least and most. ``wing_height_error_all_m``,
``wing_airspeed_all_m_s``: corners included (worst; least and most). ``wing_circles``: rows of
radius, wind, RMS and worst error of the radius, height, mean bank less atan(V^2 / g R) [deg].
``wing_descent_sink_m_s`` and ``wing_descent_airspeed_m_s`` (least and most) of the descent.
``vtol_front_transition_s``, ``vtol_back_transition_s``: shortest and longest;
``vtol_front_height_lost_m``, ``vtol_back_height_error_m``: worst. ``vtol_not_completed``: number
of transitions, of ``vtol_transitions``, that did not end in the wanted mode.
``wing_realtime_factor``, ``vtol_realtime_factor``: seconds flown for each second of CPU time.

``tailsitter_...``: the same of the tailsitter, wind of 0, 1.5 and 3 m/s from four directions;
``tailsitter_hover_error_m``: worst distance from its place after 20 s;
``tailsitter_cross_track_rms_m``: worst RMS distance from its line on the wing, 15 s after the
transition. ``rollouts_..._per_s_core`` of wing, vtol, runway, tailsitter: ten seconds of sampled
flight in gusts for each second of CPU time; ``rollouts_wing_lost``, ``rollouts_vtol_lost``: share
of 60 flights in 6 m/s of wind with gusts that were lost, the quad-plane's from pad to pad.
``rollouts_runway_lost``: of 60 flights from runway to runway in 4 m/s of head wind with gusts;
``rollouts_tailsitter_lost``: of 60 from pad to pad in 1.5 m/s with gusts.

``wing_landings``: flights from runway to runway, rows of head and side wind, length of the ground
roll, how far from the runway's line it went, sink rate of the touchdown, how far it was beyond the
point on the ground and beside the line, length of the roll-out; no figures where a wing tip
touched (``wing_landings_failed`` of them).
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rich.console import Console

from airtwin_core import aircraft, frames
from airtwin_core.types import Array
from airtwin_physics.control import convertible, wing_path, wing_sortie
from airtwin_physics.control.tailsitter import TailsitterAircraft
from airtwin_physics.control.vtol import VtolAircraft
from airtwin_physics.control.wing_aircraft import WingAircraft
from airtwin_physics.dynamics import GRAVITY_M_S2
from airtwin_physics.rollout import draw, rollouts, start
from airtwin_physics.rollout.plan import Act, Plan, Waypoint

NAN = np.nan
SIDE_M, WIND_M_S, UP_M = 800.0, 5.0, 100.0
SETTLED_M, BEFORE_M = 400.0, 80.0
SQUARE_S, EVERY_S = 155.0, 0.1


def measure(console: Console) -> dict[str, Any]:
    """Return all figures."""
    console.print("measuring the wing ...", highlight=False)
    plane = WingAircraft(aircraft.load("aerosonde"))
    figures = _squares(plane) | _circles(plane) | _descent(plane) | _landings(plane)
    console.print("measuring the quad-plane ...", highlight=False)
    figures |= _transitions(VtolAircraft(aircraft.load("standard_vtol")))
    console.print("measuring the tailsitter ...", highlight=False)
    figures |= _tailsitter(TailsitterAircraft(aircraft.load("tailsitter")))
    console.print("measuring rollouts of wings ...", highlight=False)
    return figures | _rollouts()


def _squares(plane: WingAircraft) -> dict[str, Any]:
    trim = plane.params.fw_airspd_trim
    square = np.array([[1, 0], [1, 1], [0, 1], [0, 0]]) * SIDE_M
    legs = np.column_stack((square, np.tile([-UP_M, NAN, 0.0, 0.0], (4, 1))))
    cross, high, fast, corner, high_all = [], [], [], [], []
    speeds: list[float] = []
    plane.follow(legs)
    plane.advance(0.1)  # compiles or loads
    spent = flown = 0.0
    for towards in np.arange(8) * np.pi / 4.0:
        wind = WIND_M_S * np.array([np.cos(towards), np.sin(towards), 0.0])
        plane.start(np.array([0.0, 0.0, -UP_M]), 0.0, wind)
        plane.follow(legs)
        began = time.process_time()
        x, leg = _fly(plane, SQUARE_S, wind)
        spent, flown = spent + time.process_time() - began, flown + SQUARE_S
        airspeed = np.linalg.norm(x[:, 3:6] - wind, axis=1)
        high_all.append(float(np.max(np.abs(x[:, 2] + UP_M))))
        speeds += [float(airspeed.min()), float(airspeed.max())]
        sides = (
            (x[:, 1], x[:, 0]),
            (x[:, 0] - SIDE_M, x[:, 1]),
            (x[:, 1] - SIDE_M, SIDE_M - x[:, 0]),
            (x[:, 0], SIDE_M - x[:, 1]),
        )
        for k, (off, along) in enumerate(sides):
            on = (leg == k) & (along > SETTLED_M) & (along < SIDE_M - BEFORE_M)
            cross.append(float(np.sqrt(np.mean(off[on] ** 2))))
            high.append(float(np.max(np.abs(x[on, 2] + UP_M))))
            fast.append(float(np.max(np.abs(airspeed[on] - trim))))
        corner += [float(np.linalg.norm(x[:, :2] - goal, axis=1).min()) for goal in square[:3]]
    return {
        "wing_cross_track_rms_m": round(max(cross), 3),
        "wing_cross_track_rms_median_m": round(float(np.median(cross)), 3),
        "wing_height_error_m": round(max(high), 2),
        "wing_airspeed_error_m_s": round(max(fast), 2),
        "wing_corner_m": [round(min(corner), 1), round(max(corner), 1)],
        "wing_height_error_all_m": round(max(high_all), 2),
        "wing_airspeed_all_m_s": [round(min(speeds), 1), round(max(speeds), 1)],
        "wing_realtime_factor": round(flown / spent),
    }


def _fly(plane: WingAircraft, seconds: float, wind: Array) -> tuple[Array, Array]:
    """Return states (k, 22) and legs (k,), one every EVERY_S."""
    states, legs = [], []
    for _ in range(round(seconds / EVERY_S)):
        plane.advance(EVERY_S, wind)
        states.append(plane.x.copy())
        legs.append(plane.guide[wing_path.WG_LEG])
    return np.array(states), np.array(legs)


def _circles(plane: WingAircraft) -> dict[str, Any]:
    rows = []
    for radius in (100.0, 150.0):
        for wind in (np.zeros(3), np.array([3.0, -4.0, 0.0])):
            plane.start(np.array([0.0, 0.0, -UP_M]), 0.0, wind)
            plane.follow(np.array([[0.0, radius, -UP_M, NAN, radius, np.inf]]))
            x = _fly(plane, 120.0, wind)[0][600:]
            off = np.linalg.norm(x[:, :2] - (0.0, radius), axis=1) - radius
            bank = np.mean([frames.euler_from_quat(row[6:10])[0] for row in x])
            speed = float(np.mean(np.linalg.norm(x[:, 3:6] - wind, axis=1)))
            theory = np.arctan(speed * speed / (GRAVITY_M_S2 * radius))
            rows.append(
                {
                    "radius_m": radius,
                    "wind_m_s": float(np.linalg.norm(wind)),
                    "radius_rms_m": round(float(np.sqrt(np.mean(off**2))), 2),
                    "radius_worst_m": round(float(np.max(np.abs(off))), 2),
                    "height_worst_m": round(float(np.max(np.abs(x[:, 2] + UP_M))), 2),
                    "bank_less_theory_deg": round(float(np.degrees(bank - theory)), 2),
                }
            )
    return {"wing_circles": rows}


def _descent(plane: WingAircraft) -> dict[str, Any]:
    plane.start(np.array([0.0, 0.0, -2.0 * UP_M]))
    plane.follow(np.array([[1e5, 0.0, -UP_M, NAN, 0.0, 0.0]]))
    x = _fly(plane, 90.0, np.zeros(3))[0]
    speed = np.linalg.norm(x[:, 3:6], axis=1)
    return {
        "wing_descent_sink_m_s": round(float(np.mean(x[100:400, 5])), 2),
        "wing_descent_airspeed_m_s": [
            round(float(speed.min()), 1),
            round(float(speed.max()), 1),
        ],
    }


RUNWAY = Plan(
    (
        Waypoint((300.0, 0.0, -40.0), act=Act.TAKE_OFF),
        Waypoint((400.0, 250.0, -40.0)),
        Waypoint((-800.0, 250.0, -40.0)),
        Waypoint((-1000.0, 0.0, -30.0)),
        Waypoint((-550.0, 0.0, -30.0)),
        Waypoint((50.0, 0.0, 0.0), act=Act.LAND),
    )
)
TIP_RAD = 0.29  # the bank at which a wing tip of the Aerosonde on its wheels touches


def _landings(plane: WingAircraft) -> dict[str, Any]:
    legs = np.array([[*point.position_ned_m, NAN, 0.0, 0.0] for point in RUNWAY.waypoints])
    rows, failed = [], 0
    for head, side in ((0, 0), (5, 0), (8, 0), (-3, 0), (0, 3), (0, 5), (0, 8), (4, 4)):
        plane.stand(np.zeros(3), charge_c=0.0)
        plane.follow(legs, takes_off=True, lands=True)
        states, phases, bank = [plane.x.copy()], [0.0], 0.0
        while phases[-1] != wing_sortie.OFF and len(states) < 15_000:
            plane.advance(0.02, np.array([-head, -side, 0.0]))
            states.append(plane.x.copy())
            phases.append(plane.flight[wing_sortie.PHASE])
            if plane.x[2] > -0.5:
                bank = max(bank, abs(frames.euler_from_quat(plane.x[6:10])[0]))
        x, phase = np.array(states), np.array(phases)
        row: dict[str, Any] = {"head_wind_m_s": head, "side_wind_m_s": side}
        rows.append(row)
        if bank > TIP_RAD or phase[-1] != wing_sortie.OFF:
            failed += 1
            continue
        climbs = int(np.argmax(phase == wing_sortie.CLIMB))
        flare = int(np.argmax(phase == wing_sortie.FLARE))
        down = flare + int(np.argmax(x[flare:, 2] > -0.002)) - 1
        row |= {
            "ground_roll_m": round(float(x[climbs, 0]), 1),
            "off_line_m": round(float(np.max(np.abs(x[:climbs, 1]))), 2),
            "touchdown_sink_m_s": round(float(x[down, 5]), 2),
            "touchdown_beyond_m": round(float(x[down, 0] - legs[-1, 0]), 1),
            "touchdown_beside_m": round(float(x[down, 1]), 2),
            "roll_out_m": round(float(x[-1, 0] - x[down, 0]), 1),
            "roll_out_off_line_m": round(float(np.max(np.abs(x[down:, 1]))), 2),
        }
    return {"wing_landings": rows, "wing_landings_failed": failed}


def _transitions(plane: VtolAircraft) -> dict[str, Any]:
    up_m, settle_s, watch_s = 50.0, 10.0, 40.0
    fronts, backs, lost, off, missed, count = [], [], [], [], 0, 0
    plane.advance(0.1)
    began, flown = time.process_time(), 0.0
    for towards in np.arange(4) * np.pi / 2.0:
        for blow in (0.0, 3.0, 6.0):
            wind = blow * np.array([np.cos(towards), np.sin(towards), 0.0])
            plane.start(np.array([0.0, 0.0, -up_m]))
            plane.advance(settle_s, wind)
            plane.follow(np.array([[1e4, 0.0, -up_m, NAN, 0.0, 0.0]]))
            height, mode = _watch(plane, watch_s, wind)
            fronts.append(EVERY_S * float(np.sum(mode == convertible.TO_WING)))
            lost.append(float(np.max(up_m - height)))
            missed += int(mode[-1] != convertible.WING)
            goal = plane.x[:3] + 4.0 * np.array([plane.x[3], plane.x[4], 0.0])
            goal[2] = -up_m
            plane.hold(goal)
            height, mode = _watch(plane, watch_s, wind)
            backs.append(EVERY_S * float(np.sum(mode == convertible.TO_HOVER)))
            off.append(float(np.max(np.abs(height - up_m))))
            missed += int(mode[-1] != convertible.HOVER)
            count, flown = count + 2, flown + settle_s + 2.0 * watch_s
    return {
        "vtol_front_transition_s": [round(min(fronts), 1), round(max(fronts), 1)],
        "vtol_back_transition_s": [round(min(backs), 1), round(max(backs), 1)],
        "vtol_front_height_lost_m": round(max(lost), 1),
        "vtol_back_height_error_m": round(max(off), 1),
        "vtol_transitions": count,
        "vtol_not_completed": missed,
        "vtol_realtime_factor": round(flown / (time.process_time() - began)),
    }


def _watch(plane: VtolAircraft, seconds: float, wind: Array) -> tuple[Array, Array]:
    """Return heights [m] and modes, one every EVERY_S."""
    seen = []
    for _ in range(round(seconds / EVERY_S)):
        plane.advance(EVERY_S, wind)
        seen.append((-plane.x[2], plane.mode[convertible.MODE]))
    return np.array(seen).T[0], np.array(seen).T[1]


def _tailsitter(plane: TailsitterAircraft) -> dict[str, Any]:
    up_m, mode_at = 50.0, convertible.MODE
    fronts, backs, lost, off, hover, cross, missed, count = [], [], [], [], [], [], 0, 0
    for towards in np.arange(4) * np.pi / 2.0:
        for blow in (0.0, 1.5, 3.0):
            wind = blow * np.array([np.cos(towards), np.sin(towards), 0.0])
            place = np.array([0.0, 0.0, -up_m])
            plane.start(place)
            plane.advance(20.0, wind)
            hover.append(float(np.linalg.norm(plane.x[:3] - place)))
            plane.follow(np.array([[1e4, 0.0, -up_m, NAN, 0.0, 0.0]]))
            x, mode = _see(plane, 40.0, wind, mode_at)
            front = int(np.sum(mode == convertible.TO_WING))
            fronts.append(EVERY_S * front)
            lost.append(float(np.max(np.abs(x[:, 2] + up_m))))
            missed += int(mode[-1] != convertible.WING)
            late = x[front + 150 :, 1]
            cross.append(float(np.sqrt(np.mean(late**2))))
            goal = plane.x[:3] + 3.0 * np.array([plane.x[3], plane.x[4], 0.0])
            goal[2] = -up_m
            plane.hold(goal)
            x, mode = _see(plane, 40.0, wind, mode_at)
            backs.append(EVERY_S * float(np.sum(mode == convertible.TO_HOVER)))
            off.append(float(np.max(np.abs(x[:, 2] + up_m))))
            missed += int(mode[-1] != convertible.HOVER)
            count += 2
    return {
        "tailsitter_hover_error_m": round(max(hover), 2),
        "tailsitter_front_transition_s": [round(min(fronts), 1), round(max(fronts), 1)],
        "tailsitter_back_transition_s": [round(min(backs), 1), round(max(backs), 1)],
        "tailsitter_front_height_error_m": round(max(lost), 1),
        "tailsitter_back_height_error_m": round(max(off), 1),
        "tailsitter_cross_track_rms_m": round(max(cross), 2),
        "tailsitter_transitions": count,
        "tailsitter_not_completed": missed,
    }


def _see(
    plane: TailsitterAircraft, seconds: float, wind: Array, mode_at: int
) -> tuple[Array, Array]:
    """Return states and modes, one every EVERY_S."""
    states, modes = [], []
    for _ in range(round(seconds / EVERY_S)):
        plane.advance(EVERY_S, wind)
        states.append(plane.x.copy())
        modes.append(plane.mode[mode_at])
    return np.array(states), np.array(modes)


def _rollouts() -> dict[str, Any]:
    wind = draw.Wind((-3.0, 5.2, 0.0), ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 0.04)), gust=1.0)
    level = Plan((Waypoint((400.0, 0.0, -105.0)), Waypoint((400.0, 400.0, -95.0))))
    pads = Plan(
        (
            Waypoint((0.0, 0.0, -40.0), act=Act.TAKE_OFF),
            Waypoint((300.0, 0.0, -50.0)),
            Waypoint((300.0, 300.0, -50.0)),
            Waypoint((0.0, 300.0, -50.0)),
            Waypoint((0.0, 300.0, 0.0), act=Act.LAND),
        )
    )
    cruise = start.supposed(np.array([0.0, 0.0, -100.0]), np.array([19.0, 5.2, 0.0]))
    out: dict[str, Any] = {}
    stands = start.supposed(np.zeros(3), sigmas=np.zeros(15))
    head, light = draw.Wind((-4.0, 0.0, 0.0), gust=1.0), draw.Wind((-1.5, 0.0, 0.0), gust=1.0)
    for name, craft, belief, plan, seconds, n, air in (
        ("wing", "aerosonde", cruise, level, 40.0, 60, wind),
        ("vtol", "standard_vtol", start.supposed(np.zeros(3)), pads, 200.0, 60, wind),
        ("runway", "aerosonde", stands, RUNWAY, 300.0, 60, head),
        ("tailsitter", "tailsitter", stands, pads, 250.0, 60, light),
    ):
        for count in (1, n):  # the first compiles or loads
            began = time.process_time()
            fan = rollouts.rollout(
                belief, plan, air, count, seconds, np.random.default_rng(1),
                aircraft=aircraft.load(craft), interval_s=0.5,
            )  # fmt: skip
            spent = time.process_time() - began
        ends = np.full(n, seconds)
        if name != "wing":
            ends = np.where(np.isfinite(fan.reached_s[:, -1]), fan.reached_s[:, -1], fan.lost_s)
        out[f"rollouts_{name}_per_s_core"] = round(float(np.nansum(ends)) / 10.0 / spent)
        out[f"rollouts_{name}_lost"] = round(float(np.mean(np.logical_not(fan.kept))), 3)
    return out
