# SPDX-License-Identifier: Apache-2.0
"""Where the twin's frame lies, kept for the twin that comes after it.

PX4 that flies on external odometry alone has no origin: its local frame is the twin's. When that
twin dies, PX4 drifts by dead reckoning (24 m in 11 s were seen), and a twin that is started anew
could only count from there: the drift would stay as a shift of everything that is flown. PX4
itself cannot keep the frame: told an origin while external vision runs, EKF2 of 1.18 moves its
position by the way to 0 N 0 E (``Ekf::setLatLonOrigin``; tried: 5,227 km), and told one before,
it takes the height of external vision for one above the sea (``controlEvHeightFusion``).
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path

from airtwin_core.types import Origin

KEPT_S = 300.0
"""A frame older than this belongs to another flight."""
PERIOD_S = 5.0
"""How often it is written while odometry is sent."""


class FrameMemory:
    """One aircraft's file of three numbers and a time; ``now_s`` is the wall clock's [s].

    Nothing is raised for a disk that is full or a file that is broken: then there is no memory.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._written: tuple[Origin, float] | None = None

    def recall(self, now_s: float) -> Origin | None:
        """Return the origin of the twin before; None if there was none of late."""
        try:
            told = json.loads(self._file.read_text())
            numbers = [float(told[key]) for key in ("latitude", "longitude", "altitude", "time")]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        latitude, longitude, altitude, time = numbers
        on_earth = abs(latitude) <= 90.0 and abs(longitude) <= 180.0 and math.isfinite(altitude)
        if not on_earth or not 0.0 <= now_s - time <= KEPT_S:
            return None
        return Origin(latitude, longitude, altitude)

    def keep(self, origin: Origin, now_s: float) -> None:
        """Note the origin around which odometry is sent, every ``PERIOD_S`` and when it moves."""
        if self._written is not None:
            last, at_s = self._written
            if last == origin and 0.0 <= now_s - at_s < PERIOD_S:
                return
        self._written = (origin, now_s)
        told = {
            "latitude": origin.latitude_deg,
            "longitude": origin.longitude_deg,
            "altitude": origin.altitude_amsl_m,
            "time": now_s,
        }
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps(told))
            new.replace(self._file)
        except OSError:
            return


def file_of(vehicle: str, domain: int, folder: str = "") -> Path:
    """Return where the frame of an aircraft on a ROS domain is kept; folder: "" the system's."""
    place = Path(folder) if folder else Path(tempfile.gettempdir()) / f"airtwin-{os.getuid()}"
    return place / f"frame_{domain}_{vehicle}.json"
