# SPDX-License-Identifier: Apache-2.0
"""The recorded flights at ``../shared`` as samples, for the parts of the physics bench."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from airtwin_bringup import paths
from airtwin_core.intake import Intake
from airtwin_core.types import Sample, TwinState
from airtwin_physics.estimator import Estimator
from airtwin_record import replay
from airtwin_record.flight import Truth, UnusableFlight
from airtwin_record.samples import samples


class NoData(Exception):
    """What a part measures on is not on this machine; the message names it."""


@dataclass(frozen=True, slots=True)
class Flight:
    """One aircraft of one file: samples in the order of arrival, truth where it is known.

    ``name``: the file, and which of its aircraft if there are several.
    """

    name: str
    samples: tuple[Sample, ...]
    truth: Truth | None = None


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


def load(path: Path) -> tuple[Flight, ...]:
    """Read one file; no flight at all where nothing in it can be followed."""
    try:
        recording = replay.read(path)
    except UnusableFlight:
        return ()
    alone = len(recording.vehicles) == 1
    return tuple(
        Flight(
            path.name if alone else f"{path.name}:{log.name}",
            tuple(sample for _, _, sample in samples(log, Intake())),
            log.truth,
        )
        for log in recording.vehicles
    )


def flights() -> Iterator[Flight]:
    """Yield all flights of all recordings, one file at a time in memory.

    Raises:
        NoData: there are none.
    """
    for path in recordings():
        yield from load(path)


def states(estimator: Estimator, flown: Iterable[Sample]) -> list[TwinState]:
    """Hand over samples; return what the twin published, as it published it."""
    return [state for sample in flown if (state := estimator.on(sample)) is not None]
