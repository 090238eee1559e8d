# SPDX-License-Identifier: Apache-2.0
"""State and covariance at the filter's horizon, and the moves that are no plain update."""

from __future__ import annotations

import numpy as np

from airtwin_core import frames
from airtwin_core.types import Array
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.ekf import alignment, correction, kernel, models, wind
from airtwin_physics.ekf.air import Air
from airtwin_physics.ekf.alignment import FirstAttitude
from airtwin_physics.ekf.imu import ImuTrack
from airtwin_physics.ekf.steps import N_WATCH, REACHED, settle, step_until
from airtwin_physics.ekf.wind import WindStates

UNKNOWN_SPEED_M_S = 30.0
UNKNOWN_PLACE_M = 1000.0

# No standard deviation grows beyond these: position, velocity, attitude, gyro and accelerometer
# bias, barometer offset, GNSS offset, heading offset, GNSS delay, wind, drag, scale, terrain,
# gust, wash, suction, lean of the thrust.
_CAP = (
    np.repeat(
        [1e5, 300.0, 3.2, 0.5, 3.0, 1e4, 1e3, 3.2, 1.0, 50.0, 1.0, 0.5, 1e4, 20.0, 10.0, 1.0, 0.1],
        [3, 3, 3, 3, 3, 1, 3, 1, 1, 2, 1, 1, 1, 2, 1, 1, 2],
    )
    ** 2
)

# What may have gone wrong unnoticed with the attitude [rad] and the biases [rad/s], [m/s^2].
_DOUBT = np.zeros(kernel.N)
_DOUBT[6:15] = np.repeat([0.15, 0.05, 0.3], 3) ** 2
_CLIMB_M_S = 1.0  # by which the speed down of now may differ from its mean of some seconds

_TILT_BY_FORCE = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


class Belief:
    """``x`` (N + 1,), ``p`` (N, N), ``constants`` of ``kernel``; ``begun``: since alignment.

    ``watch`` (26,): what the steps leave for the sensors, by names of ``steps``. The arrays live
    as long as the object: ``start_over`` clears them in place, so that sensors may keep them.
    """

    def __init__(self, config: EstimatorConfig, air: Air | None = None) -> None:
        c = self._config = config
        self.air = air or Air(c)
        self.wind = WindStates(self.air.drag_1_s, self.air.bend_s_m)
        self.x = np.zeros(kernel.N_NOMINAL)
        self.p = np.zeros((kernel.N, kernel.N))
        self.watch = np.zeros(N_WATCH)
        self.constants = np.empty(kernel.N_CONSTANTS)
        self.constants[kernel.DENSITY] = [
            c.gyro_noise,
            c.accel_noise,
            c.gyro_bias_walk,
            c.accel_bias_walk,
            c.barometer_walk,
            c.wind_walk,
            c.drag_walk,
            c.airspeed_scale_walk,
            c.terrain_walk,
            c.barometer_suction_walk,
            c.thrust_lean_walk,
        ]
        self.constants[kernel.TAU] = [
            *[c.gnss_wander_s] * 3,
            c.heading_wander_s,
            1.0,
            1.0,
            c.barometer_wash_s,
        ]
        self.constants[kernel.CAP] = _CAP
        self.start_over()

    @property
    def position_ned_m(self) -> Array:
        """Position (3,), a view of ``x``."""
        return self.x[kernel.X_POSITION]

    @property
    def velocity_ned_m_s(self) -> Array:
        """Velocity (3,), a view of ``x``."""
        return self.x[kernel.X_VELOCITY]

    @property
    def q_ned_frd(self) -> Array:
        """Attitude (4,), a view of ``x``."""
        return self.x[kernel.X_QUATERNION]

    @property
    def gyro_bias_frd_rad_s(self) -> Array:
        """Gyro bias (3,), a view of ``x``."""
        return self.x[kernel.X_GYRO]

    @property
    def sigma(self) -> Array:
        """Sizes (7,) of the offsets of GNSS (3,) [m], heading [rad], gust (2,) [m/s], wash [m]."""
        return self.constants[kernel.SIGMA]

    def start_over(self) -> None:
        """Forget all."""
        self.begun = False
        self.x[:] = 0.0
        self.x[kernel.X_Q] = 1.0
        self.p[:] = 0.0
        self.watch[:] = 0.0
        self.sigma[:] = 1.0
        self.wind.start_over()
        self.gusts()

    def begin(self, first: FirstAttitude, track: ImuTrack, *, still: bool) -> None:
        """Start at a local zero with the first attitude; the heading is set apart."""
        c, x, p = self._config, self.x, self.p
        self.q_ned_frd[:] = first.q_ned_frd
        speed = c.rest_speed_m_s if still else UNKNOWN_SPEED_M_S
        variances = np.ones(kernel.N)
        level = slice(kernel.POS, kernel.POS + 2)  # down is from a local zero, the rest unknown
        variances[level] = UNKNOWN_PLACE_M**2
        variances[kernel.VELOCITY] = speed**2
        if still:
            self.gyro_bias_frd_rad_s[:] = track.mean_rate_frd
            variances[kernel.GYRO] = (c.gyro_bias_sigma / 3.0) ** 2 + track.mean_rate_variance
        else:
            variances[kernel.GYRO] = c.gyro_bias_sigma**2
        variances[kernel.ACCEL] = c.accel_bias_sigma**2
        variances[kernel.DELAY] = c.gnss_delay_sigma_s**2
        x[kernel.X_DRAG] = np.log(self.air.drag_1_s)
        variances[kernel.WIND : kernel.WIND + 2] = c.wind_sigma_m_s**2
        variances[kernel.DRAG] = self.air.drag_sigma**2
        variances[kernel.SCALE] = c.airspeed_scale_sigma**2
        variances[kernel.TERRAIN] = UNKNOWN_PLACE_M**2
        variances[kernel.GUST : kernel.GUST + 2] = self.sigma[4] ** 2
        variances[kernel.WASH] = self.sigma[6] ** 2
        variances[kernel.SUCTION] = c.barometer_suction_sigma**2
        variances[kernel.LEAN : kernel.LEAN + 2] = c.thrust_lean_sigma**2
        p[:] = np.diag(variances)
        turn, force = kernel.ATTITUDE, kernel.ACCEL
        p[turn, turn] = first.covariance
        if still:
            # levelled by a wrong accelerometer: R theta = (b_east, -b_north, 0) / g
            r = frames.rotation_from_quat(first.q_ned_frd)
            tilt_by_bias = r.T @ (_TILT_BY_FORCE / kernel.GRAVITY_M_S2) @ r
            p[turn, turn] += tilt_by_bias @ tilt_by_bias.T * c.accel_bias_sigma**2
            p[turn, force] = tilt_by_bias * c.accel_bias_sigma**2
            p[force, turn] = p[turn, force].T
        p[:] = 0.5 * (p + p.T)  # a product of three differs from its transpose in the last bit
        self.watch[REACHED] = track.reached_s
        self.begun = True

    def advance(self, track: ImuTrack, target_s: float, event_s: float) -> bool:
        """Take the steps that end by ``target_s``, up to ``event_s``; see ``step_until``.

        Returns whether that was reached.
        """
        track.first = step_until(
            self.x,
            self.p,
            track.ring,
            track.first,
            track.last,
            target_s,
            event_s,
            self.constants,
            self.watch,
        )
        track.reached_s = self.watch.item(REACHED)
        return track.reached_s >= event_s

    def settle(self) -> bool:
        """End the corrections at a time; return whether there still is a state to speak of."""
        return settle(self.x, self.p, self.watch)

    def shift(self, by_ned_m: Array) -> None:
        """Move the origin of NED; the barometer goes on reading the same."""
        self.position_ned_m[:] += by_ned_m
        self.x[kernel.X_BARO] += by_ned_m[2]
        self.x[kernel.X_TERRAIN] += by_ned_m[2]

    def turn(self, angle_rad: float) -> None:
        """Turn heading, velocity and wind about down: north was elsewhere than thought."""
        self.q_ned_frd[:] = alignment.turned(self.q_ned_frd, angle_rad)
        c, s = np.cos(angle_rad), np.sin(angle_rad)
        for at in (kernel.X_VEL, kernel.X_WIND, kernel.X_GUST):
            north, east = self.x[at], self.x[at + 1]
            self.x[at], self.x[at + 1] = c * north - s * east, s * north + c * east

    def place(
        self,
        measured: Array,
        variance: Array,
        lag_s: float,
        axes: tuple[int, ...],
        *,
        tie: bool = True,
    ) -> None:
        """Take the position of ``axes`` from GNSS as it is; measured, variance (3,).

        tie: the barometer's offset goes along, else it shows another height than before.
        """
        x, p = self.x, self.p
        h = np.empty((3, kernel.N))
        for axis in axes:
            before = float(x[axis])
            x[kernel.X_GNSS + axis] = 0.0
            x[axis] = measured[axis] + x[3 + axis] * lag_s
            correction.forget(p, kernel.GNSS + axis, float(self.sigma[axis] ** 2))
            correction.forget(p, kernel.POS + axis, UNKNOWN_PLACE_M**2)
            models.gnss_position(x, lag_s, h, np.empty(3))
            row, noise = h[axis : axis + 1], variance[axis : axis + 1]
            correction.update(x, p, row, np.zeros(1), noise, correction.FREE)
            if axis == 2 and tie:
                self.tie_barometer(float(x[kernel.X_DOWN]) - before)

    def expect_gnss(self, claimed: tuple[float, float, float], kept: float) -> None:
        """Let the GNSS offsets be of size claimed [m] NED, or of ``kept`` [-] of their last one,
        up to twice the claim.

        An offset goes with its claim: where a receiver has found more satellites, what is
        believed of its offset shrinks. Where it lost some, the offset wanders to its new size.
        """
        correction.expect_gnss(self.x, self.p, self.sigma, claimed, kept)

    def renew_biases(self) -> None:
        """Know of the IMU's biases what was known before the first sample."""
        c = self._config
        for first, at, sigma in (
            (kernel.GYRO_BIAS, kernel.X_GYRO_BIAS, c.gyro_bias_sigma),
            (kernel.ACCEL_BIAS, kernel.X_ACCEL_BIAS, c.accel_bias_sigma),
        ):
            for axis in range(3):
                self.x[at + axis] = 0.0
                correction.forget(self.p, first + axis, sigma**2)

    def gusts(self, shown_s: float = 0.0) -> None:
        """Let gusts be as strong and as quick as wind and speed make them; see ``wind.gusts``.

        shown_s: for so long drag has shown them since the last call [s].
        """
        law, intensity = self.wind.law, self._config.gust_intensity
        wind.gusts(self.x, self.p, law, self.constants, intensity, shown_s)

    def forget_wind(self) -> None:
        """Know nothing of the wind, as at the start."""
        for i in range(2):
            correction.forget(self.p, kernel.WIND + i, self._config.wind_sigma_m_s**2)

    def tie_barometer(self, residual_m: float) -> None:
        """Read the barometer's offset off the height; no wash is taken to be in what it shows."""
        x, p, wash2 = self.x, self.p, float(self.sigma[6] ** 2)
        x[kernel.X_BARO] += residual_m + x[kernel.X_WASH]
        x[kernel.X_WASH] = 0.0
        correction.forget(p, kernel.BARO, 1.0)
        correction.forget(p, kernel.WASH, wash2)
        variance = self._config.barometer_noise_m**2 + wash2
        correction.place(p, kernel.BARO, kernel.POS + 2, 1.0, variance)
        p[kernel.BARO, kernel.WASH] = p[kernel.WASH, kernel.BARO] = -wash2

    def take_climb(self, residual_m: float, down_m_s: float) -> None:
        """Take height and speed down from the barometer, whose innovation is given.

        down_m_s: mean of the last seconds, so it is doubted by ``_CLIMB_M_S``. As the barometer's
        own offset is in the height now, both are doubted.
        """
        p, down = self.p, kernel.POS + 2
        variance = float(p[kernel.BARO, kernel.BARO]) + self._config.barometer_noise_m**2
        self.position_ned_m[2] -= residual_m
        self.velocity_ned_m_s[2] = down_m_s
        correction.forget(p, down, variance)
        correction.forget(p, kernel.VEL + 2, _CLIMB_M_S**2)
        p += np.diag(_DOUBT)

    def take_velocity(self, measured: Array, variance: Array) -> None:
        """Take the velocity from GNSS as it is; measured, variance (3,).

        That it was so far off for so long says that attitude or biases are wrong as well.
        """
        for axis in range(3):
            correction.forget(self.p, kernel.VEL + axis, float(variance[axis]))
        self.velocity_ned_m_s[:] = measured
        self.p += np.diag(_DOUBT)

    def widen(self, index: int, variance: float) -> None:
        """Doubt one error more, and all others as far as they were read off it."""
        p = self.p
        if p[index, index] > 0.0:
            read_off = p[:, index] / p[index, index]
            p += variance * np.outer(read_off, read_off)

    def widen_heading_offset(self, by2: float, most2: float) -> None:
        """Doubt the heading's offset more, by ``by2`` but not beyond ``most2`` [rad^2].

        Unlike ``widen`` the others stay as they are: what is new of it reached none of them.
        """
        doubt2 = self.p[kernel.HEADING, kernel.HEADING]
        self.p[kernel.HEADING, kernel.HEADING] += max(min(by2, most2 - doubt2), 0.0)

    def take_heading(self, angle_rad: float, noise_rad: float, offset_rad: float) -> None:
        """Turn the attitude about down; the new heading is wrong by the offset of its source."""
        p = self.p
        self.sigma[3] = offset_rad
        self.q_ned_frd[:] = alignment.turned(self.q_ned_frd, angle_rad)
        self.x[kernel.X_HEADING] = 0.0
        correction.forget(p, kernel.HEADING, offset_rad**2)
        about_down = frames.rotation_from_quat(self.q_ned_frd)[2]  # NED down in FRD
        only_tilt = np.eye(3) - np.outer(about_down, about_down)
        turn = kernel.ATTITUDE
        p[turn, :] = only_tilt @ p[turn, :]
        p[:, turn] = p[:, turn] @ only_tilt
        p[turn, turn] += np.outer(about_down, about_down) * (noise_rad**2 + offset_rad**2)
        p[turn, kernel.HEADING] = p[kernel.HEADING, turn] = about_down * offset_rad**2
        p[:] = 0.5 * (p + p.T)
