# SPDX-License-Identifier: Apache-2.0
"""The recorded flights at ``../shared`` as samples, for the parts of the physics bench."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from airtwin_bringup import paths
from airtwin_core.intake import Intake
from airtwin_core.types import Sample, TwinState
from airtwin_physics.estimator import Estimator
from airtwin_record import replay
from airtwin_record.flight import UnusableFlight, VehicleLog
from airtwin_record.samples import samples


class NoData(Exception):
    """What a part measures on is not on this machine; the message names it."""


@dataclass(frozen=True, slots=True)
class Flight:
    """One aircraft of one file: samples in the order of arrival."""

    file: str
    log: VehicleLog
    samples: tuple[Sample, ...]

    @property
    def name(self) -> str:
        """The file, and which of its aircraft if there are several."""
        return f"{self.file}:{self.log.name}"

    @property
    def duration_s(self) -> float:
        """Length of the log [s]."""
        return (self.log.end_ns - self.log.start_ns) * 1e-9


def shared() -> Path:
    """Return the folder of data beside the project.

    Raises:
        NoData: it is not there.
    """
    folder = paths.root().parent / "shared"
    if not (folder / "data").is_dir():
        raise NoData("no data at ../shared")
    return folder


def recordings() -> list[Path]:
    """Return every ULog and MCAP of a PX4 flight.

    Raises:
        NoData: there is none.
    """
    folder = shared()
    found = [*sorted((folder / "data" / "ulog").glob("*.ulg"))]
    found += sorted((folder / "px4" / "recordings").glob("*.ulg"))
    found += sorted((folder / "px4" / "recordings").glob("*.mcap"))
    if not found:
        raise NoData("no recordings at ../shared/data/ulog and ../shared/px4/recordings")
    return found


@functools.cache
def load(path: Path) -> tuple[Flight, ...]:
    """Read one file; no flight at all where nothing in it can be followed."""
    try:
        recording = replay.read(path)
    except UnusableFlight:
        return ()
    return tuple(
        Flight(path.name, log, tuple(sample for _, _, sample in samples(log, Intake())))
        for log in recording.vehicles
    )


def flights() -> list[Flight]:
    """Return all flights of all recordings.

    Raises:
        NoData: there are none.
    """
    return [flight for path in recordings() for flight in load(path)]


def states(estimator: Estimator, flown: Iterable[Sample]) -> list[TwinState]:
    """Hand over samples; return what the twin published, as it published it."""
    return [state for sample in flown if (state := estimator.on(sample)) is not None]
