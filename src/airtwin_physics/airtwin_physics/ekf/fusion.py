# SPDX-License-Identifier: Apache-2.0
"""All sensors around one belief: which there are, and what they say together."""

from __future__ import annotations

from airtwin_core.types import Fusion, SensorHealth
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.sensors.gnss import Gnss
from airtwin_physics.ekf.sensors.heading import Heading
from airtwin_physics.ekf.sensors.height import Height
from airtwin_physics.ekf.sensors.rest import Rest

_UNAIDED_S = 1.0


class Sensors:
    """The sensors of one aircraft; each fuses into ``belief`` at the horizon."""

    def __init__(self, config: EstimatorConfig, belief: Belief, anchor: Anchor) -> None:
        self._config = config
        self.gnss = Gnss(config, belief, anchor)
        self.height = Height(config, belief)
        self.heading = Heading(config, belief, anchor)
        self.rest = Rest(config, belief)
        self.sources = (
            self.gnss.position,
            self.gnss.velocity,
            self.height.barometer,
            self.heading.compass,
            self.heading.px4,
        )

    def start_over(self) -> None:
        """Forget all but the counts."""
        for part in (self.gnss, self.height, self.heading, self.rest):
            part.start_over()

    def fusions(self) -> tuple[Fusion, ...]:
        """Return how each source fares."""
        return tuple([source.tally.fusion() for source in self.sources])

    def health(self, at_s: float) -> tuple[SensorHealth, ...]:
        """Return the health of each source."""
        gnss = self.gnss
        return (
            gnss.position.health(at_s, gnss.xy, gnss.z),
            *[source.health(at_s) for source in self.sources[1:]],
        )

    def unaided(self, at_s: float) -> bool:
        """Return whether nothing has shown the horizontal velocity lately."""
        passed_s = max(self.gnss.xy.passed_s, self.gnss.velocity.gate.passed_s)
        return at_s - passed_s > _UNAIDED_S

    def horizontal(self, since_s: float) -> bool:
        """Return whether something has shown the horizontal position since."""
        return self.gnss.xy.passed_s > since_s

    def vertical(self, since_s: float) -> bool:
        """Return whether something has shown the height since."""
        return max(self.gnss.z.passed_s, self.height.barometer.gate.passed_s) > since_s

    def velocity(self, since_s: float) -> bool:
        """Return whether something has shown the velocity since."""
        shown_s = max(self.gnss.velocity.gate.passed_s, self.rest.passed_s)
        return shown_s > since_s or self.horizontal(since_s)
