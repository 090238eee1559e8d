# SPDX-License-Identifier: Apache-2.0
"""What all values share: arrays, and where local NED is zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where local NED is zero. Altitude [m] AMSL as the vehicle's GNSS reports it.

    ``altitude_told``: false where PX4 says exactly 0: it does so while it does not know
    (``EstimatorInterface::getEkfGlobalOriginAltitude``, v1.13 to v1.18), calling z global all the
    same, and no altitude that was measured is exactly that.
    """

    latitude_deg: float
    longitude_deg: float
    altitude_amsl_m: float

    @property
    def altitude_told(self) -> bool:
        """Whether the altitude is known."""
        return self.altitude_amsl_m != 0.0
