# SPDX-License-Identifier: Apache-2.0
"""All sensors around one belief: which there are, and what they say together."""

from __future__ import annotations

from airtwin_core.types import Array, Attitude, Fusion, GnssFix, SensorHealth
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import kernel
from airtwin_physics.ekf.anchor import Anchor
from airtwin_physics.ekf.belief import Belief
from airtwin_physics.ekf.imu import ImuTrack
from airtwin_physics.ekf.imu_doubt import ImuDoubt
from airtwin_physics.ekf.motion_heading import MotionHeading
from airtwin_physics.ekf.sensors.air import AirData, Flying
from airtwin_physics.ekf.sensors.gnss import Gnss, Others
from airtwin_physics.ekf.sensors.ground import Ground
from airtwin_physics.ekf.sensors.heading import Heading
from airtwin_physics.ekf.sensors.height import Height
from airtwin_physics.ekf.sensors.pose import Pose
from airtwin_physics.ekf.sensors.rest import Rest
from airtwin_physics.ekf.sensors.solution import speed_fault
from airtwin_physics.ekf.source import RECOVERED_S, Gate, Source, moves
from airtwin_physics.ekf.tally import LATE_MAX_S, NEVER_S

_UNAIDED_S = 1.0
_ASTRAY_S = 0.4  # two fixes refused in a row


class Sensors:
    """The sensors of one aircraft; each fuses into ``belief`` at the horizon."""

    def __init__(
        self, config: EstimatorConfig, belief: Belief, anchor: Anchor, track: ImuTrack
    ) -> None:
        self._config = config
        self._belief = belief
        self._anchor = anchor
        self.gnss = Gnss(config, belief, anchor, track)
        self.heading = Heading(config, belief, anchor)
        self.motion = MotionHeading(track)
        self.imu = ImuDoubt(track, config.recover_s)
        self.contradicted = False
        self.rest = Rest(config, belief)
        self.height = Height(config, belief, self.rest)
        self.air = AirData(config, belief)
        self.pose = Pose(config, belief, self.gnss, self.heading)
        others = (self.gnss.xy, self.gnss.velocity.gate, self.pose.position.gate)
        self.ground = Ground(config, belief, track, others)
        self._moved_by = (*others, self.pose.velocity.gate, self.ground.flow.gate)
        self._blown_by = (self.air.drag.gate, self.air.airspeed.gate, self.air.sideslip.gate)
        self._gnss_parts = (
            ("gnss_position", self.gnss.xy),
            ("gnss_position height", self.gnss.z),
        )
        self._shown_by = (self.gnss.xy, self.gnss.z, self.gnss.velocity.gate)
        self._always = (
            self.gnss.position,
            self.gnss.velocity,
            self.height.barometer,
            self.heading.compass,
            self.heading.px4,
            self.air.drag,
            self.air.airspeed,
            self.air.sideslip,
        )
        self._optional = (
            self.ground.range,
            self.ground.flow,
            self.heading.antennas,
            self.pose.position,
            self.pose.velocity,
            self.heading.pose,
        )
        self._found: tuple[Source, ...] = self._always

    def start_over(self) -> None:
        """Forget all but the counts, and what motion shows: it owes the filter nothing."""
        self.contradicted = False
        for part in (
            self.gnss,
            self.height,
            self.heading,
            self.rest,
            self.air,
            self.ground,
            self.pose,
        ):
            part.start_over()

    def shift(self, by_ned_m: Array) -> None:
        """Move the origin of NED."""
        self._belief.shift(by_ned_m)
        self.gnss.receiver.shift(by_ned_m)
        self.pose.shift(by_ned_m)

    def fix(self, fix: GnssFix, at_s: float, lag_s: float) -> None:
        """Fuse what a GNSS fix holds."""
        self.contradicted = self._move(fix, at_s, lag_s)
        self.heading.gnss(fix, at_s, lag_s)
        self.pose.loosen(at_s)
        height = self.height
        speed_s = max(self.pose.velocity.gate.passed_s, self.ground.flow.gate.passed_s)
        others = Others(
            altitude_m=height.altitude_m(at_s),
            height_backed=height.agrees(at_s),
            height_shut_s=height.barometer.gate.shut_for_s(at_s),
            speed_backed=at_s - speed_s < _UNAIDED_S,
            air_backed=at_s - self.air.passed_s < _UNAIDED_S,
        )
        astray = [gate for gate in self._shown_by if gate.parted(_UNAIDED_S)]
        said = self.gnss.fuse(fix, at_s, lag_s, others)
        if astray and any(gate.recovered_s == at_s for gate in astray):
            self.imu.cured(at_s)
        receiver = self.gnss.receiver
        self.rest.ride(said, sound=receiver.heard and not receiver.torn)
        if self.gnss.velocity.gate.passed_s == at_s:
            height.climb_s = at_s
        if self.gnss.seconds_barometer:
            height.seconded_s = at_s

    def _move(self, fix: GnssFix, at_s: float, lag_s: float) -> bool:
        """Let the fix show the heading by motion; return whether it contradicts the filter's."""
        c, x = self._config, self._belief.x
        if lag_s > LATE_MAX_S or speed_fault(fix, c):
            return False
        sigma_m_s = max(fix.speed_accuracy_m_s, c.gnss_speed_min_m_s)
        self.imu.velocity(fix, at_s, sigma_m_s)
        contradicted = self.motion.take(fix, at_s, x, sigma_m_s)
        if self.heading.by_motion_alone and self.motion.agrees(x):
            self.heading.moved(at_s)
        return contradicted

    def attitude(self, sample: Attitude, at_s: float, lag_s: float) -> None:
        """Let PX4's attitude judge the gyro, and show the heading where nothing better does."""
        belief = self._belief
        self.imu.attitude(
            sample, at_s, belief.q_ned_frd, belief.p[kernel.ATTITUDE, kernel.ATTITUDE]
        )
        self.heading.attitude(sample, at_s, lag_s)

    def judge_imu(self, at_s: float, *, standing: bool, px4: Attitude | None) -> None:
        """Ask whether the IMU is to be believed; standing: quiet on the ground."""
        gates = (*self._shown_by, self.height.barometer.gate)
        astray = any(
            gate.shut_for_s(at_s) > _ASTRAY_S or at_s - gate.recovered_s < RECOVERED_S
            for gate in gates
        )
        self.imu.rest(at_s, standing=standing, px4=px4)
        self.imu.stuck(at_s, moving=not standing and moves(self._belief))
        self.imu.conclude(
            at_s,
            borne_out=not astray and not self.unaided(at_s),
            receiver_sound=not self.gnss.receiver.torn,
        )

    def fusions(self) -> tuple[Fusion, ...]:
        """Return how each source fares of those that the last ``health`` found."""
        return tuple([source.tally.latest or source.tally.fusion() for source in self._found])

    def health(self, at_s: float) -> tuple[SensorHealth, ...]:
        """Return the health of each source; optional ones as soon as they said something."""
        fitted = [
            source
            for source in self._optional
            if source.seen_s > NEVER_S or source.tally.used or source.tally.rejected
        ]
        self._found = (*self._always, *fitted)
        gnss = self.gnss
        return (
            gnss.position.health(at_s, gnss.xy, gnss.z),
            *[source.health(at_s) for source in self._found[1:]],
        )

    def notice(self, at_s: float) -> str:
        """Return what the filter did of its own accord lately, "" if nothing."""
        names = [
            source.tally.source
            for source in self._found
            if at_s - source.gate.recovered_s < RECOVERED_S
        ]
        names += [name for name, gate in self._gnss_parts if at_s - gate.recovered_s < RECOVERED_S]
        words = [f"{name} taken at its word again after its gate was shut" for name in names]
        if self.imu.said:
            words.insert(0, f"IMU doubted: {self.imu.said}")
        elif self.imu.inverted:
            words.append(
                "on its back or side, or its IMU is mounted otherwise than told (SENS_BOARD_ROT)"
            )
        receiver = self.gnss.receiver
        if receiver.torn:
            words.append(f"GNSS doubted: {receiver.torn}")
        if self.rest.carried:
            words.append("the ground it stands on moves, GNSS says")
        if self._anchor.lifted:
            words.append("PX4 does not know its origin's altitude, GNSS tells it")
        if self._anchor.moved_m:
            moved_km = 1e-3 * self._anchor.moved_m
            words.append(f"origin moved by {moved_km:.0f} km to where GNSS says")
        if self.air.strange:
            words.append(f"{self.air.strange}; drag is learnt without it")
        if self.bridged(at_s):
            passed_s = max(self.gnss.xy.passed_s, self.gnss.velocity.gate.passed_s)
            since = "the start" if passed_s == NEVER_S else f"{passed_s:.1f} s of its time"
            words.append(f"dead reckoning by drag, airspeed and wind since {since}")
        return "; ".join(words)

    def bridged(self, at_s: float) -> bool:
        """Return whether only the model of the air holds the horizontal velocity now."""
        resting = at_s - self.rest.passed_s <= _UNAIDED_S
        blown = at_s - self.air.passed_s <= _UNAIDED_S
        return blown and self.unaided(at_s) and not resting

    def unaided(self, at_s: float) -> bool:
        """Return whether nothing has shown the velocity over ground lately."""
        return at_s - self._moved_s() > _UNAIDED_S

    def watch_air(self, flying: Flying, at_s: float, stamp_ns: int) -> None:
        """Fuse what the air does; it corrects the motion only where nothing else shows it."""
        alone = at_s - self._moved_s() > self._config.valid_s
        lost = at_s - self.heading.passed_s > self._config.recover_s
        self.air.watch(flying, at_s, stamp_ns, alone=alone, turns=alone or lost)

    def _moved_s(self) -> float:
        """Return when something outside the aircraft last showed its motion."""
        xy, speed, place, pace, flow = self._moved_by
        return max(xy.passed_s, speed.passed_s, place.passed_s, pace.passed_s, flow.passed_s)

    def wind_shown_s(self) -> float:
        """Return when something last showed the wind."""
        drag, airspeed, sideslip = self._blown_by
        return max(drag.passed_s, airspeed.passed_s, sideslip.passed_s)

    def wind_fits(self, at_s: float) -> bool:
        """Return whether no law of the air is contradicted by its own innovations."""
        air, factor = self.air, self._config.noisy_factor
        return (
            air.drag.fits(at_s, factor)
            and air.airspeed.fits(at_s, factor)
            and air.sideslip.fits(at_s, factor)
        )

    def horizontal(self, since_s: float) -> bool:
        """Return whether something has shown the horizontal position since, undisputed."""
        xy = self.gnss.xy
        shown = xy.passed_s > since_s and not self._disputed(xy, since_s)
        return shown or self.pose.position.gate.passed_s > since_s

    def vertical(self, since_s: float) -> bool:
        """Return whether something has shown the height since."""
        barometer = self.height.barometer.gate.passed_s > since_s
        return barometer or self.gnss.z.passed_s > since_s or self.pose.height_s > since_s

    def velocity(self, since_s: float) -> bool:
        """Return whether something has shown the velocity since, undisputed."""
        gate = self.gnss.velocity.gate
        shown = self._moved_s() > since_s and not self._disputed(gate, since_s)
        return shown or self.rest.passed_s > since_s

    def _disputed(self, gate: Gate, since_s: float) -> bool:
        """Return whether a receiver of one piece has contradicted the filter for a while."""
        if gate.shut_since_s is None:
            return False
        at_s = since_s + self._config.valid_s
        return self.gnss.receiver.heard and gate.shut_for_s(at_s) > _UNAIDED_S
