# SPDX-License-Identifier: Apache-2.0
"""Starts and ends faults: each changes a few numbers of the fleet, a sensor suite or a link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from airtwin_physics import dynamics
from airtwin_sim.aiding import SENSORS, AidingSuite, Trouble
from airtwin_sim.fleet import Fleet
from airtwin_sim.link import Link
from airtwin_sim.scenario import Fault, ScenarioError
from airtwin_sim.sensors import Suite


@dataclass(slots=True)
class Target:
    """What a fault can touch of one aircraft: its row in the fleet, its sensors, both links."""

    fleet: Fleet
    row: int
    suite: Suite
    links: tuple[Link[Any], Link[Any]]
    aiding: AidingSuite


Undo = Callable[[], None]


def start(fault: Fault, target: Target) -> Undo:
    """Start the fault and return what ends it.

    Raises:
        ScenarioError: the aircraft has no such motor, or would have no mass left.
    """
    return _STARTERS[fault.kind](fault, target)


def _gnss_loss(fault: Fault, target: Target) -> Undo:
    target.suite.gnss_on = False

    def undo() -> None:
        target.suite.gnss_on = True

    return undo


def _gnss_drift(fault: Fault, target: Target) -> Undo:
    target.suite.gnss_drift_m_s = np.array(fault.vector)

    def undo() -> None:
        target.suite.gnss_drift_m_s = np.zeros(3)
        target.suite.gnss_drift_m = np.zeros(3)

    return undo


def _gnss_jump(fault: Fault, target: Target) -> Undo:
    target.suite.gnss_jump_m = target.suite.gnss_jump_m + np.array(fault.vector)

    def undo() -> None:
        target.suite.gnss_jump_m = target.suite.gnss_jump_m - np.array(fault.vector)

    return undo


def _baro_stop(fault: Fault, target: Target) -> Undo:
    target.suite.baro_on = False

    def undo() -> None:
        target.suite.baro_on = True

    return undo


def _imu_bias(fault: Fault, target: Target) -> Undo:
    step = np.zeros(6)
    step[3 * fault.index : 3 * fault.index + 3] = fault.vector
    target.suite.imu_bias = target.suite.imu_bias + step

    def undo() -> None:
        target.suite.imu_bias = target.suite.imu_bias - step

    return undo


def _motor_loss(fault: Fault, target: Target) -> Undo:
    effect = target.fleet.model.rotors[target.row, :, dynamics.EFFECT]
    if fault.index >= effect.size:
        raise ScenarioError(f"{fault.vehicle} has motors 0 to {effect.size - 1}, no {fault.index}")
    before = float(effect[fault.index])
    effect[fault.index] = before * (1.0 - fault.magnitude)

    def undo() -> None:
        effect[fault.index] = before

    return undo


def _mass(fault: Fault, target: Target) -> Undo:
    body = target.fleet.model.body[target.row]
    if not body[dynamics.MASS] + fault.magnitude > 0.0:
        raise ScenarioError(f"{fault.vehicle} weighs only {body[dynamics.MASS]:.3f} kg")
    body[dynamics.MASS] += fault.magnitude

    def undo() -> None:
        body[dynamics.MASS] -= fault.magnitude

    return undo


def _battery_fade(fault: Fault, target: Target) -> Undo:
    battery = target.fleet.model.battery[target.row]
    before = float(battery[dynamics.CAPACITY_SHARE])
    battery[dynamics.CAPACITY_SHARE] = max(before * (1.0 - fault.magnitude), 1e-3)

    def undo() -> None:
        battery[dynamics.CAPACITY_SHARE] = before

    return undo


def _wind(fault: Fault, target: Target) -> Undo:
    row = target.fleet.steady_ned_m_s[target.row]
    before = row.copy()
    row[:] = fault.vector

    def undo() -> None:
        row[:] = before

    return undo


def _link_delay(fault: Fault, target: Target) -> Undo:
    for link in target.links:
        link.delay_s = fault.magnitude

    def undo() -> None:
        for link in target.links:
            link.delay_s = 0.0

    return undo


def _link_loss(fault: Fault, target: Target) -> Undo:
    for link in target.links:
        link.loss = fault.magnitude

    def undo() -> None:
        for link in target.links:
            link.loss = 0.0

    return undo


def _link_outage(fault: Fault, target: Target) -> Undo:
    for link in target.links:
        link.out = True

    def undo() -> None:
        for link in target.links:
            link.out = False

    return undo


def _trouble(fault: Fault, target: Target) -> Trouble:
    return target.aiding.trouble[SENSORS[fault.index]]


def _sensor_stop(fault: Fault, target: Target) -> Undo:
    trouble = _trouble(fault, target)
    trouble.stopped = True

    def undo() -> None:
        trouble.stopped = False

    return undo


def _sensor_stuck(fault: Fault, target: Target) -> Undo:
    trouble = _trouble(fault, target)
    trouble.stuck = True

    def undo() -> None:
        trouble.stuck = False

    return undo


def _sensor_noise(fault: Fault, target: Target) -> Undo:
    trouble = _trouble(fault, target)
    trouble.noise = fault.magnitude

    def undo() -> None:
        trouble.noise = 1.0

    return undo


def _sensor_jump(fault: Fault, target: Target) -> Undo:
    trouble = _trouble(fault, target)
    trouble.shift = np.array(fault.vector)

    def undo() -> None:
        trouble.shift = np.zeros(3)

    return undo


_STARTERS: dict[str, Callable[[Fault, Target], Undo]] = {
    "gnss_loss": _gnss_loss,
    "gnss_drift": _gnss_drift,
    "gnss_jump": _gnss_jump,
    "baro_stop": _baro_stop,
    "imu_bias": _imu_bias,
    "motor_loss": _motor_loss,
    "mass": _mass,
    "battery_fade": _battery_fade,
    "wind": _wind,
    "link_delay": _link_delay,
    "link_loss": _link_loss,
    "link_outage": _link_outage,
    "sensor_stop": _sensor_stop,
    "sensor_stuck": _sensor_stuck,
    "sensor_noise": _sensor_noise,
    "sensor_jump": _sensor_jump,
}
