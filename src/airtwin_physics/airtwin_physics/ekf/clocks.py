# SPDX-License-Identifier: Apache-2.0
"""How old a sample is, where stamps and arrivals may disagree. Pure, no clock of its own.

Stamps go first: what waits in a queue or on the link arrives late and is as old as its stamp
says. But clocks are set, drift apart and break, that of the whole vehicle or of one source. Of
each kind of sample its usual lateness is kept: how much later it comes, by its stamp, than the
promptest IMU sample would. A clock that leaps changes it at once and for good while arrivals go
on evenly; a link that slows down shows in the arrivals. No sample comes from the future. Where a
simulation runs faster or slower than time, arrivals say nothing and the stamps are believed.
"""

from __future__ import annotations

from dataclasses import dataclass

from airtwin_core.types import (
    Airspeed,
    Attitude,
    Barometer,
    ExternalPose,
    GnssFix,
    Imu,
    LocalPosition,
    Magnetometer,
    OpticalFlow,
    Rangefinder,
    Sample,
)
from airtwin_physics.ekf.imu import ImuTrack

NAMES: dict[type, str] = {
    GnssFix: "gnss",
    Barometer: "barometer",
    Magnetometer: "magnetometer",
    Attitude: "attitude",
    Airspeed: "airspeed",
    Rangefinder: "rangefinder",
    OpticalFlow: "flow",
    ExternalPose: "pose",
    LocalPosition: "position",
}
_NS = 1_000_000_000
_USUAL_MAX_NS = 500_000_000  # no sensor is later
_USUAL_NS = 50_000_000  # of a kind whose clock is another one from the start
_CREEP_NS = 5_000_000  # per sample, by which the least lateness is let go
_LEARN = 20  # samples of a kind, in which the least late may still be to come
_OFF_NS = 100_000_000  # beyond it a stamp is looked at
_AGREE_NS = 50_000_000
_SCATTER_NS = 300_000_000  # of a slow link
_RUN, _RUN_NS = 3, 200_000_000  # so many in a row, over so long, are a clock that leapt
_PERIOD_SHARE = 0.2  # of the newest interval in their running mean
_SAID_S = 10.0  # for so long a leap is spoken of
_USUAL_LEAP_NS = 300_000_000  # forward; PX4's own: 0.2 s in 25 s


@dataclass(slots=True)
class _Kind:
    """Clock of one kind of sample against the IMU's.

    shift_ns: what its lateness has too much, by a leap of either clock; usual_ns: the least lately
    without that; stamp_ns, received_ns: of its last; period_ns: of its arrivals. Of the run that
    is off: how many, stamp and lateness of its first, whether that one came late. prompt_ns: what
    was usual before the link became slow. shifted: how many samples the shift has lasted; seen:
    how many there were.
    """

    seen: int = 0
    usual_ns: int | None = None
    shift_ns: int = 0
    seen_clock_ns: int = 0
    stamp_ns: int = 0
    received_ns: int = 0
    period_ns: float = 0.0
    count: int = 0
    first_ns: int = 0
    first_late_ns: int = 0
    slowed: bool = False
    prompt_ns: int | None = None
    shifted: int = 0


class Clocks:
    """Tells ages by the IMU's clock; ``leaps`` by source, those of the vehicle's as imu."""

    def __init__(self, track: ImuTrack) -> None:
        self._track = track
        self.leaps: dict[str, int] = {}
        self.start_over()

    def start_over(self) -> None:
        """Forget all but the counts."""
        self._kinds: dict[type, _Kind] = {}
        self._clock_ns = self._track.clock_ns
        self._leapt = ""
        self._leapt_s = -_SAID_S

    def age_ns(self, imu: Imu, sample: Sample) -> int:
        """Return how much older a sample is than the newest IMU sample; negative: younger."""
        track = self._track
        if not track.even:
            self._kinds.clear()
            return imu.stamp_ns - sample.stamp_ns
        kind = self._kinds.get(type(sample))
        if kind is None:
            kind = self._kinds[type(sample)] = _Kind(seen_clock_ns=track.clock_ns)
        late = track.ahead_ns - (sample.stamp_ns - sample.received_ns)
        kind.shift_ns += track.clock_ns - kind.seen_clock_ns
        kind.seen_clock_ns = track.clock_ns
        usual = kind.usual_ns
        if usual is None:
            usual = late if -_USUAL_NS <= late < _USUAL_MAX_NS else _USUAL_NS
        if abs(late - usual) <= abs(late - kind.shift_ns - usual):
            kind.shift_ns = kind.shifted = 0  # its clock is the IMU's, and has leapt along
        else:
            kind.shifted += 1
        late -= kind.shift_ns
        kind.seen += 1
        if kind.seen <= _LEARN and -_USUAL_NS <= late < usual:
            usual = late  # the first were late
        prompt, off = kind.prompt_ns, late - usual
        if prompt is not None and abs(late - prompt) <= _OFF_NS:
            kind.prompt_ns = None  # the link is as fast as it was
            if off < -_OFF_NS:
                usual, off = late, 0
        if abs(off) <= _OFF_NS:
            kind.count = 0
            kind.usual_ns = min(usual + _CREEP_NS, late)
            if kind.received_ns:
                passed = sample.received_ns - kind.received_ns
                kind.period_ns += _PERIOD_SHARE * (min(passed, _NS) - kind.period_ns)
        else:
            off = self._weigh(kind, sample, late, usual)
        kind.stamp_ns, kind.received_ns = sample.stamp_ns, sample.received_ns
        age = imu.stamp_ns - sample.stamp_ns - kind.shift_ns
        return age - off if off < -_OFF_NS else age

    def _weigh(self, kind: _Kind, sample: Sample, late: int, usual: int) -> int:
        """Take a stamp that is off into the run of such ones; return by how much it still is."""
        off = late - usual
        apart = abs(late - kind.first_late_ns)
        if kind.count == 0 or apart > _AGREE_NS:
            # a link that became slow scatters more, too: its first was seen to come late
            still = kind.count > 0 and kind.slowed and apart <= _SCATTER_NS
            kind.count, kind.first_ns, kind.first_late_ns = 1, sample.stamp_ns, late
            kind.slowed = off > 0 and (still or _came_late(kind, sample, off))
            if kind.slowed and kind.prompt_ns is None:
                kind.prompt_ns = usual
            return off
        kind.count += 1
        if kind.slowed or self._track.waited_ns > 0.5 * abs(off):
            kind.slowed = True  # it is the link
            kind.usual_ns = usual + _CREEP_NS
        elif kind.count >= _RUN and sample.stamp_ns - kind.first_ns >= _RUN_NS:
            self._count(NAMES[type(sample)])
            kind.shift_ns += off
            kind.usual_ns, kind.count = usual, 0
            return 0
        return off

    def notice(self) -> str:
        """Return what is to be said of clocks, "" if nothing."""
        track, words = self._track, []
        leapt_ns = track.clock_ns - self._clock_ns
        if leapt_ns:
            self._clock_ns = track.clock_ns
            if not -_AGREE_NS < leapt_ns < _USUAL_LEAP_NS:
                self._count("imu")
                self._leapt = f"clock moved by {leapt_ns * 1e-9:+.2f} s: followed by arrivals"
                self._leapt_s = track.now_s
        if track.now_s - self._leapt_s < _SAID_S:
            words.append(self._leapt)
        apart: dict[str, list[str]] = {}
        for kind, clock in self._kinds.items():
            shift_ns = clock.shift_ns + track.clock_ns - clock.seen_clock_ns
            if clock.shifted >= _RUN and abs(shift_ns) > _OFF_NS:
                apart.setdefault(f"{-shift_ns * 1e-9:+.1f} s", []).append(NAMES[kind])
        words += [
            f"stamps of {', '.join(names)} are {off} off the IMU's: taken by arrival"
            for off, names in apart.items()
        ]
        return "; ".join(words)

    def _count(self, name: str) -> None:
        self.leaps[name] = self.leaps.get(name, 0) + 1


def _came_late(kind: _Kind, sample: Sample, off_ns: int) -> bool:
    """Return whether a sample itself was late, not its stamp early: which of both is irregular?"""
    period = kind.period_ns
    passed, stamped = sample.received_ns - kind.received_ns, sample.stamp_ns - kind.stamp_ns
    if not period > 0.0 or passed <= period + 0.5 * off_ns or stamped < 0.5 * period:
        return False
    if stamped < 1.5 * period:
        return True  # arrivals paused, and no stamp is missing
    return abs(stamped / period - round(stamped / period)) < abs(
        passed / period - round(passed / period)
    )
