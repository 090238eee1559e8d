# SPDX-License-Identifier: Apache-2.0
"""What a fleet says at one instant, as columns: one row an aircraft, plain values, PX4's topics.

``Batch.source`` is the name of the topic in ``airtwin_ros.px4.READERS`` (plus ``global``,
``control_mode``, ``failsafe_flags``, which AirTwin does not read but PX4 sends).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from airtwin_core.thrust_curve import thrust
from airtwin_core.types import Array
from airtwin_sim import ins
from airtwin_sim.aiding import Reading
from airtwin_sim.autopilot import Ack, Autopilot, Home
from airtwin_sim.fleet import Fleet
from airtwin_sim.projection import to_degrees
from airtwin_sim.sensors import GnssSolution

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages of one topic of some aircraft.

    ``rows``: which aircraft, by place in the scenario; ``sample_us``: since the start, when it was
    true; ``said_us``: when PX4 says it; ``values``: name to array with one entry a row.
    """

    source: str
    rows: tuple[int, ...]
    sample_us: int
    said_us: int
    values: Values

    def single(self, k: int) -> Batch:
        """Return the ``k``-th message alone."""
        row = {name: column[k : k + 1] for name, column in self.values.items()}
        return Batch(self.source, (self.rows[k],), self.sample_us, self.said_us, row)


def imu(fleet: Fleet) -> Values:
    """Return sensor_combined's values."""
    return {"rate": fleet.imu[:, :3].copy(), "force": fleet.imu[:, 3:].copy()}


def attitude(fleet: Fleet, pilots: list[Autopilot]) -> Values:
    """Return vehicle_attitude's values."""
    resets = [p.nav.resets for p in pilots]
    return {
        "q": fleet.estimate[:, ins.E_Q].copy(),
        "resets": np.array([r.heading for r in resets]),
        "delta_heading": np.array([r.delta_heading_rad for r in resets]),
    }


def odometry(fleet: Fleet, pilots: list[Autopilot]) -> Values:
    """Return vehicle_odometry's values; variances as the estimator claims them."""
    e = fleet.estimate
    return {
        "position": e[:, ins.E_POS].copy(),
        "velocity": e[:, ins.E_VEL].copy(),
        "q": e[:, ins.E_Q].copy(),
        "rate": e[:, ins.E_RATE].copy(),
        "sigma": e[:, [ins.E_SIGMA_H, ins.E_SIGMA_H, ins.E_SIGMA_V]].copy(),
        "reset_counter": np.array([p.nav.resets.total for p in pilots]),
    }


def position(fleet: Fleet, pilots: list[Autopilot]) -> Values:
    """Return vehicle_local_position's values."""
    e = fleet.estimate
    navs = [p.nav for p in pilots]
    q = e[:, ins.E_Q]
    return {
        "position": e[:, ins.E_POS].copy(),
        "velocity": e[:, ins.E_VEL].copy(),
        "acceleration": e[:, ins.E_ACC].copy(),
        "heading": np.arctan2(
            2 * (q[:, 0] * q[:, 3] + q[:, 1] * q[:, 2]), 1 - 2 * (q[:, 2] ** 2 + q[:, 3] ** 2)
        ),
        "sigma": e[:, [ins.E_SIGMA_H, ins.E_SIGMA_V]].copy(),
        "xy_valid": np.array([n.xy_valid for n in navs]),
        "z_valid": np.array([n.z_valid for n in navs]),
        "dead_reckoning": np.array([n.dead_reckoning for n in navs]),
        "origin": _origins(pilots),
        "xy_resets": np.array([n.resets.xy for n in navs]),
        "z_resets": np.array([n.resets.z for n in navs]),
        "vxy_resets": np.array([n.resets.vxy for n in navs]),
        "vz_resets": np.array([n.resets.vz for n in navs]),
        "heading_resets": np.array([n.resets.heading for n in navs]),
        "delta_heading": np.array([n.resets.delta_heading_rad for n in navs]),
        "delta_xy": np.stack([n.resets.delta_xy_m for n in navs]),
        "delta_z": np.array([n.resets.delta_z_m for n in navs]),
        "delta_vxy": np.stack([n.resets.delta_vxy_m_s for n in navs]),
    }


def _origins(pilots: list[Autopilot]) -> Array:
    """Return (n, 3): latitude, longitude, altitude of each origin; NaN before the first fix."""
    nowhere = (np.nan, np.nan, np.nan)
    return np.array(
        [
            nowhere
            if (o := p.nav.origin) is None
            else (o.latitude_deg, o.longitude_deg, o.altitude_amsl_m)
            for p in pilots
        ]
    )


def global_position(fleet: Fleet, pilots: list[Autopilot]) -> Values:
    """Return vehicle_global_position's values."""
    e, origin = fleet.estimate, _origins(pilots)
    navs = [p.nav for p in pilots]
    return {
        "degrees": to_degrees(origin[:, 0], origin[:, 1], e[:, 0], e[:, 1]),
        "altitude": origin[:, 2] - e[:, 2],
        "sigma": e[:, [ins.E_SIGMA_H, ins.E_SIGMA_V]].copy(),
        "xy_valid": np.array([n.xy_valid for n in navs]),
        "z_valid": np.array([n.z_valid for n in navs]),
        "dead_reckoning": np.array([n.dead_reckoning for n in navs]),
        "xy_resets": np.array([n.resets.xy for n in navs]),
        "z_resets": np.array([n.resets.z for n in navs]),
    }


def gnss(solutions: list[GnssSolution]) -> Values:
    """Return vehicle_gps_position's values."""
    return {
        "degrees": np.array([(s.latitude_deg, s.longitude_deg) for s in solutions]),
        "altitude": np.array([s.altitude_m for s in solutions]),
        "velocity": np.stack([s.velocity_ned_m_s for s in solutions]),
        "fixed": np.array([s.fixed for s in solutions]),
        "heading": np.array([s.heading_rad for s in solutions]),
        "heading_accuracy": np.array([s.heading_accuracy_rad for s in solutions]),
        "antenna_yaw": np.array([s.antenna_yaw_rad for s in solutions]),
    }


def motors(fleet: Fleet) -> Values:
    """Return actuator_motors' values."""
    return {"control": thrust(fleet.motors, fleet.thrust_factor)}


def status(pilots: list[Autopilot]) -> Values:
    """Return vehicle_status' values; the boot times are [us] since the start."""
    c = [p.commander for p in pilots]
    return {
        "armed": np.array([p.shown_armed for p in pilots]),
        "nav_state": np.array([x.nav_state for x in c]),
        "intention": np.array([x.intention for x in c]),
        "failsafe": np.array([x.failsafe for x in c]),
        "armed_us": np.array([x.armed_us for x in c]),
        "takeoff_us": np.array([x.takeoff_us for x in c]),
        "nav_state_us": np.array([x.nav_state_us for x in c]),
        "arming_reason": np.array([x.arming_reason for x in c]),
        "disarming_reason": np.array([x.disarming_reason for x in c]),
        "offboard": np.array([p.controls_offboard for p in pilots]),
        "ready": np.array([p.ready for p in pilots]),
        "system_id": np.array([p.spec.system_id for p in pilots]),
    }


def control_mode(pilots: list[Autopilot]) -> Values:
    """Return vehicle_control_mode's values."""
    offboard = np.array([p.controls_offboard for p in pilots])
    place = np.array(
        [p.stream.position if p.controls_offboard else not p.descending_blind for p in pilots]
    )
    return {
        "armed": np.array([p.commander.armed for p in pilots]),
        "offboard": offboard,
        "position": place,
    }


def land_detected(pilots: list[Autopilot]) -> Values:
    """Return vehicle_land_detected's values."""
    lands = [p.land for p in pilots]
    names = (
        "landed",
        "maybe_landed",
        "ground_contact",
        "freefall",
        "in_descend",
        "has_low_throttle",
        "vertical_movement",
        "horizontal_movement",
        "rotational_movement",
    )
    values = {name: np.array([getattr(land, name) for land in lands]) for name in names}
    values["armed"] = np.array([p.commander.armed for p in pilots])
    return values


def battery(pilots: list[Autopilot], temperature_c: list[float]) -> Values:
    """Return battery_status' values."""
    columns = zip(*(p.battery for p in pilots), strict=True)
    names = ("voltage", "current", "discharged_mah", "remaining", "warning", "cells", "resistance")
    values = {name: np.array(column) for name, column in zip(names, columns, strict=True)}
    values["temperature"] = np.array(temperature_c)
    return values


def aided(reading: Reading) -> Values:
    """Return the values of one optional sensor of one aircraft."""
    return {name: np.asarray(value)[None] for name, value in reading.values.items()}


def flags(pilots: list[Autopilot]) -> Values:
    """Return estimator_status_flags' values."""
    navs = [p.nav for p in pilots]
    names = (
        "gnss_position",
        "gnss_velocity",
        "baro_height",
        "gnss_height",
        "baro_fault",
        "gnss_fault",
        "dead_reckoning",
    )
    values = {name: np.array([getattr(nav, name) for nav in navs]) for name in names}
    values["in_air"] = np.array([p.in_air for p in pilots])
    values["changes"] = np.array([p.flag_changes for p in pilots])
    return values


def failsafe_flags(pilots: list[Autopilot]) -> Values:
    """Return failsafe_flags' values."""
    return {
        "stream_alive": np.array([p.stream_alive for p in pilots]),
        "xy_valid": np.array([p.nav.xy_valid for p in pilots]),
        "z_valid": np.array([p.nav.z_valid for p in pilots]),
        "home": np.array([p.nav.xy_valid for p in pilots]),
        "battery_warning": np.array([p.commander.battery_warning for p in pilots]),
        "gnss": np.array([p.nav.gnss_position for p in pilots]),
    }


def home(word: Home) -> Values:
    """Return home_position's values of one aircraft."""
    return {
        "degrees": np.array([[word.latitude_deg, word.longitude_deg]]),
        "altitude": np.array([word.altitude_m]),
        "local": np.array([word.local_ned_m]),
        "yaw": np.array([word.yaw_rad]),
        "updates": np.array([word.updates]),
    }


def ack(word: Ack) -> Values:
    """Return vehicle_command_ack's values of one aircraft."""
    return {"command": np.array([word.command]), "result": np.array([word.result])}
