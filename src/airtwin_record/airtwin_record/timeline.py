# SPDX-License-Identifier: Apache-2.0
"""Which part of a file is one flight? Finds it where time jumps, runs backwards or is rubbish.

Pure: arrays of time stamps in the order of the file in, a choice out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BACKWARDS_MAX_S = 0.1
"""Messages may be logged out of order by this much."""
GAP_MAX_S = 60.0
"""A longer silence of the IMU is another flight, or a rubbish stamp."""


@dataclass(frozen=True, slots=True)
class Session:
    """Samples that follow each other in time. ``index``: (n,) which, in the order of the file."""

    index: npt.NDArray[np.int64]
    begin_us: int
    end_us: int

    @property
    def duration_s(self) -> float:
        return (self.end_us - self.begin_us) * 1e-6


NO_SESSION = Session(np.zeros(0, dtype=np.int64), 0, 0)


def strays(stamp_us: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Mark single stamps (n,) that do not lie between their neighbours, which fit each other."""
    stray = np.zeros(len(stamp_us), dtype=np.bool_)
    if len(stamp_us) < 3:
        return stray
    t = stamp_us.astype(np.float64) * 1e-6
    before, here, after = t[:-2], t[1:-1], t[2:]
    fit = (after >= before - BACKWARDS_MAX_S) & (after <= before + 1.0)
    stray[1:-1] = fit & ((here < before - BACKWARDS_MAX_S) | (here > after + BACKWARDS_MAX_S))
    return stray


def sessions(
    stamp_us: npt.NDArray[np.int64],
    *,
    backwards_max_s: float = BACKWARDS_MAX_S,
    gap_max_s: float = GAP_MAX_S,
) -> list[Session]:
    """Split stamps (n,) [us] in file order into sessions, the longest first.

    A run is a stretch without a jump; a run goes on with the newest session that it can follow, so
    a rubbish stamp becomes a session of its own and does not cut the one around it.
    """
    kept = np.flatnonzero(~strays(stamp_us))
    if len(kept) == 0:
        return []
    stamp_us = stamp_us[kept]
    # rubbish may lie 2^63 us off: differences as float cannot overflow
    step_s = np.diff(stamp_us.astype(np.float64)) * 1e-6
    cuts = np.flatnonzero((step_s < -backwards_max_s) | (step_s > gap_max_s)) + 1
    begins = np.concatenate([[0], cuts])
    ends = np.concatenate([cuts, [len(stamp_us)]])
    open_: list[tuple[int, list[npt.NDArray[np.int64]]]] = []  # (last stamp, runs), newest first
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        run = np.arange(begin, end, dtype=np.int64)
        first, last = int(stamp_us[begin]), int(stamp_us[begin:end].max())
        for position, (until, runs) in enumerate(open_):
            if -backwards_max_s * 1e6 <= first - until <= gap_max_s * 1e6:
                open_.pop(position)
                open_.insert(0, (max(last, until), [*runs, run]))
                break
        else:
            open_.insert(0, (last, [run]))
    found = []
    for _, runs in open_:
        index = np.concatenate(runs)
        index = index[np.argsort(stamp_us[index], kind="stable")]
        found.append(Session(kept[index], int(stamp_us[index[0]]), int(stamp_us[index[-1]])))
    # with the most samples, not the widest: two rubbish stamps may lie far apart
    return sorted(found, key=lambda session: (-len(session.index), session.begin_us))
