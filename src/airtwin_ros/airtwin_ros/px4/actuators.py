# SPDX-License-Identifier: Apache-2.0
"""What PX4 tells its motors and servos, and what ESCs and battery say back."""

from __future__ import annotations

from typing import Any

import numpy as np

from airtwin_core.types import Array, Battery, MotorCommands, RotorSpeeds, ServoCommands
from airtwin_ros.px4.border import (
    CURRENT_MAX_A,
    ROTOR_MAX_RPM,
    VOLTAGE_MAX_V,
    BadMessage,
    refuse,
    stamp_ns,
)

FUNCTION_MOTOR1 = 101  # EscReport.ACTUATOR_FUNCTION_MOTOR1
ESC_ALL_ONLINE = 0xFFFF
ESC_MAX = 12  # EscStatus.CONNECTED_ESC_MAX
_RPM_TO_RAD_S = 2.0 * np.pi / 60.0


def motors(msg: Any, received_ns: int) -> MotorCommands:
    """ActuatorMotors; NaN marks a motor that does not exist or is stopped.

    ``thrust_factor``: a column that a log's reader adds, of the parameter THR_MDL_FAC.
    """
    control = np.array(msg.control, dtype=np.float64)
    if np.any(np.abs(control) > 1.001):
        raise BadMessage("motor command is impossible", str(control))
    factor = float(getattr(msg, "thrust_factor", np.nan))
    return MotorCommands(stamp_ns(msg), received_ns, control, factor)


def servos(msg: Any, received_ns: int) -> ServoCommands:
    """ActuatorServos; NaN marks a servo that does not exist or is not driven."""
    control = np.array(msg.control, dtype=np.float64)
    if np.any(np.abs(control) > 1.001):
        raise BadMessage("servo command is impossible", str(control))
    return ServoCommands(stamp_ns(msg), received_ns, control)


def rotor_speeds(msg: Any, received_ns: int) -> RotorSpeeds:
    """EscStatus, or a row of a log with ``esc_rpm`` and ``esc_function`` (n,) as columns.

    Ordered by motor where the ESCs say which they drive (since 1.13), else as they come. The sign
    is the direction's where the ESC gives one; rotors are told by their size.
    """
    rpm, function = _reports(msg)
    count = min(int(msg.esc_count), len(rpm))
    if count <= 0:
        raise BadMessage("no ESC reports its speed")
    online = int(getattr(msg, "esc_online_flags", ESC_ALL_ONLINE))
    if np.any(np.abs(rpm[:count]) > ROTOR_MAX_RPM):
        refuse(rpm[:count], "rotor speed")
    told = function[:count] >= FUNCTION_MOTOR1
    rotor = function[:count] - FUNCTION_MOTOR1 if told.any() else np.arange(count)
    mine = told if told.any() else np.ones(count, dtype=np.bool_)
    if rotor[mine].max() >= len(rpm):
        raise BadMessage("ESC of a motor that cannot be", str(function[:count]))
    speed = np.full(int(rotor[mine].max()) + 1, np.nan)
    for i in np.flatnonzero(mine).tolist():
        if online >> i & 1:
            speed[rotor[i]] = abs(rpm[i]) * _RPM_TO_RAD_S
    return RotorSpeeds(stamp_ns(msg), received_ns, speed)


def _reports(msg: Any) -> tuple[Array, Array]:
    """Return speed [1/min] and function of each ESC."""
    function: Any
    reports = getattr(msg, "esc", None)
    if reports is None and hasattr(msg, "esc[0].esc_rpm"):  # a CDR record
        count = min(int(msg.esc_count), ESC_MAX)
        rpm = np.array([getattr(msg, f"esc[{i}].esc_rpm") for i in range(count)], dtype=np.float64)
        function = [getattr(msg, f"esc[{i}].actuator_function", 0) for i in range(count)]
    elif reports is None:
        rpm = np.array(msg.esc_rpm, dtype=np.float64)
        function = getattr(msg, "esc_function", None)
    else:
        rpm = np.array([report.esc_rpm for report in reports], dtype=np.float64)
        function = [getattr(report, "actuator_function", 0) for report in reports]
    if function is None:
        function = np.zeros(len(rpm))
    return rpm, np.array(function, dtype=np.int64)


def battery(msg: Any, received_ns: int) -> Battery:
    """BatteryStatus; PX4's -1 for a current that is not measured becomes NaN.

    Until 1.10 a temperature that is not measured was 0.
    """
    voltage = float(msg.voltage_v)
    if abs(voltage) > VOLTAGE_MAX_V:
        raise BadMessage("battery voltage is impossible", str(voltage))
    current = float(msg.current_a)
    if abs(current) > CURRENT_MAX_A:
        raise BadMessage("battery current is impossible", str(current))
    remaining = float(msg.remaining)
    temperature = float(getattr(msg, "temperature", np.nan))
    return Battery(
        stamp_ns(msg),
        received_ns,
        voltage if voltage > 0.0 else float("nan"),
        current if current >= 0.0 else float("nan"),
        remaining if 0.0 <= remaining <= 1.0 else float("nan"),
        int(getattr(msg, "warning", 0)),
        temperature if -100.0 < temperature < 200.0 and temperature != 0.0 else float("nan"),
    )
