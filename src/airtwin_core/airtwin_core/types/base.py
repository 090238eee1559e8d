# SPDX-License-Identifier: Apache-2.0
"""What all values share: arrays, and where local NED is zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where local NED is zero. Altitude [m] AMSL as the vehicle's GNSS reports it."""

    latitude_deg: float
    longitude_deg: float
    altitude_amsl_m: float
