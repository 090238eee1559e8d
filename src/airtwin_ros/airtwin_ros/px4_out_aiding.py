# SPDX-License-Identifier: Apache-2.0
"""Fillers of ``px4_out`` for the sensors that only some aircraft have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Values = Mapping[str, Any]
FACES_DOWN = 25
FRAME_NED, FRAME_FRD = 1, 2
FUNCTION_MOTOR1 = 101


def rangefinder(out: Any, v: Values) -> None:
    """DistanceSensor."""
    out["current_distance"], out["signal_quality"] = v["distance"], v["quality"]
    out["min_distance"], out["max_distance"] = v["min"], v["max"]
    out["orientation"], out["device_id"] = FACES_DOWN, 10092548


def flow(out: Any, v: Values) -> None:
    """VehicleOpticalFlow."""
    out["pixel_flow"], out["delta_angle"] = v["flow"], v["turn"]
    out["integration_timespan_us"] = np.round(v["dt"] * 1e6)
    out["quality"], out["max_flow_rate"] = v["quality"], v["rate_max"]
    out["min_ground_distance"], out["max_ground_distance"] = v["min"], v["max"]
    out["distance_m"] = np.nan


def vision(out: Any, v: Values) -> None:
    """VehicleOdometry as a vision system sends it to PX4."""
    out["pose_frame"] = out["velocity_frame"] = np.where(v["local"], FRAME_FRD, FRAME_NED)
    out["position"], out["velocity"], out["q"] = v["position"], v["velocity"], v["q"]
    out["angular_velocity"] = np.nan
    out["position_variance"] = v["variance"][:, 0:1]
    out["velocity_variance"] = v["variance"][:, 1:2]
    out["orientation_variance"] = v["variance"][:, 2:3]


def airspeed(out: Any, v: Values) -> None:
    """AirspeedValidated by the first sensor."""
    for kind in ("indicated", "calibrated", "true"):
        out[f"{kind}_airspeed_m_s"] = v["speed"]
    out["airspeed_source"] = 1
    out["calibrated_ground_minus_wind_m_s"] = out["calibraded_airspeed_synth_m_s"] = np.nan


def rotor_speeds(out: Any, v: Values) -> None:
    """EscStatus."""
    count = v["rpm"].shape[1]
    out["esc_count"] = count
    out["esc_online_flags"] = out["esc_armed_flags"] = (1 << count) - 1
    for i in range(count):
        out[f"esc[{i}].esc_rpm"] = v["rpm"][:, i]
        out[f"esc[{i}].actuator_function"] = FUNCTION_MOTOR1 + i
