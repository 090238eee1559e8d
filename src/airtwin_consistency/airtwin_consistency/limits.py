# SPDX-License-Identifier: Apache-2.0
"""The thresholds of the monitor that a user may set: parameters of the node ``consistency``.

Constants of a method (windows, filters, hold times) stand at the head of the module using them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """Each value with its unit and where it comes from. "Chosen" values are our judgement.

    "Set with ... in view" values were moved until the named flights were judged as they should
    be: that those flights pass is no evidence for them. ``TUNED_WITH`` in
    test/test_golden_flights.py has all of it in one place.

    Two estimates deviate if they are too far apart for their claimed accuracies (chi-square of
    ``probability``) and also further than the metric bound, below which nobody would act.

    Raises:
        ValueError: a value is outside its range.
    """

    # When a check becomes a deviation, and when that ends
    persist_s: float = 2.0  # [s] comparisons fail for so long; chosen: outlasts one GNSS cycle
    persist_attitude_s: float = 1.0  # [s] attitudes; chosen
    persist_alarm_s: float = 0.3  # [s] single alarms outlast one bad message (PX4's clock reset)
    clear_s: float = 3.0  # [s] must pass for so long to end; chosen
    clear_ratio: float = 0.8  # [-] of the limit that must be reached to end; chosen
    forget_s: float = 10.0  # [s] without any evidence a deviation ends where it was last seen
    hold_s: float = 1.0  # [s] a point event (reset, jump) counts for so long
    recent_s: float = 15.0  # [s] a symptom explains what begins within this time; chosen

    # Two estimates of motion
    probability: float = 0.99999  # [-] of an honest difference staying inside
    settle_s: float = 10.0  # [s] after the twin became valid, so that start-up is not judged
    fresh_s: float = 1.0  # [s] no sample older than this is compared
    skew_s: float = 0.15  # [s] largest time between the two samples; the rest is extrapolated
    stamp_error_s: float = (
        0.2  # [s] PX4's stamps lag by up to this; measured in the 1.18 recordings
    )
    position_bound_m: float = 3.0  # [m] EKF2_REQ_EPH of PX4
    height_bound_m: float = 4.0  # [m] below EKF2_REQ_EPV (5 m) of PX4
    velocity_bound_m_s: float = 1.5  # [m/s] three times EKF2_REQ_SACC of PX4
    tilt_bound_rad: float = 0.14  # [rad] 8 deg; chosen: 1.4 m/s^2 of false acceleration
    heading_bound_rad: float = 0.52  # [rad] 30 deg: two false turns of EKF2_HEAD_NOISE (0.3 rad)
    position_sigma_m: float = 0.5  # [m] no claim below this is believed
    height_sigma_m: float = 0.7  # [m] likewise
    velocity_sigma_m_s: float = 0.3  # [m/s] EKF2_GPS_V_NOISE of PX4
    tilt_sigma_rad: float = 0.02  # [rad] chosen: 1.1 deg
    heading_sigma_rad: float = 0.1  # [rad] chosen: 6 deg
    unclaimed_position_m: float = 3.0  # [m] where PX4 claims no accuracy (before 1.9)
    unclaimed_velocity_m_s: float = 0.5  # [m/s] likewise

    # Position without source
    unaided_s: float = 10.0  # [s] dead reckoning claimed valid; twice EKF2_NOAID_TOUT of PX4
    eph_valid_max_m: float = 100.0  # [m] a position this uncertain is not valid; chosen
    landed_speed_m_s: float = 3.0  # [m/s] on rotors; twice LNDMC_XY_VEL_MAX of PX4
    rotor_speed_max_m_s: float = 40.0  # [m/s] beyond any multirotor; chosen
    wing_speed_max_m_s: float = 120.0  # [m/s] beyond any small aeroplane; chosen

    # GNSS
    gnss_age_s: float = 2.0  # [s] without fix (or 3 own periods); chosen
    gnss_lost_periods: float = 3.0  # [-] likewise, of slow receivers
    jump_floor_m: float = 2.0  # [m] steps below are multipath of every day; chosen
    jump_sigmas: float = 3.0  # [-] of the receiver's claim, on top of the floor
    drift_window_s: float = 10.0  # [s] over which position and Doppler must agree
    drift_floor_m: float = 2.0  # [m] chosen
    drift_sigmas: float = 4.0  # [-] of the wander that the claim allows in the window
    gnss_wander_s: float = 60.0  # [s] correlation time of a receiver's error (as the estimator)
    velocity_step_m_s: float = (
        0.35  # [m/s] Doppler against IMU; set with the SIH flights (0.3) in view
    )
    velocity_delay_s: float = (
        0.1  # [s] error of a fix's time, times acceleration; set with SIH in view
    )
    velocity_innovation_m_s: float = 0.6  # [m/s] mean over the window that no noise explains
    innovation_window: int = 8  # [-] fixes in it
    eph_max_m: float = 6.0  # [m] twice EKF2_REQ_EPH of PX4, which is for take-off
    epv_max_m: float = 12.0  # [m] more than twice EKF2_REQ_EPV
    speed_accuracy_max_m_s: float = 1.5  # [m/s] three times EKF2_REQ_SACC

    # Barometer
    baro_age_s: float = 1.0  # [s] silence (or 5 own periods)
    silent_periods: float = 5.0  # [-] own periods without a sample are silence
    baro_innovation_m: float = 4.0  # [m] mean over the window; wash and ground effect make 2 m
    baro_window_s: float = 2.0  # [s]

    # IMU
    accel_bias_max_m_s2: float = 0.8  # [m/s^2] twice EKF2_ABL_LIM of PX4
    gyro_bias_max_rad_s: float = 0.15  # [rad/s] EKF2_GYR_B_LIM of PX4
    accel_bias_step_m_s2: float = (
        0.5  # [m/s^2] change in flight; set with the recorded flights in view
    )
    gyro_bias_step_rad_s: float = 0.03  # [rad/s] change in flight; MEMS: 0.01 over 40 K

    # Autopilot
    reset_xy_m: float = 1.0  # [m] PX4 moved its position by more than this and
    reset_z_m: float = 1.0  # [m] its height by more than this and
    reset_sigmas: float = 3.0  # [-] more than so many of its own claimed sigmas
    reset_heading_rad: float = 0.26  # [rad] 15 deg; the usual in-flight alignment stays below
    tilt_max_rad: float = 1.05  # [rad] 60 deg: FD_FAIL_R, FD_FAIL_P of PX4
    climb_landed_m_s: float = 1.5  # [m/s] vertical while PX4 says landed
    disarmed_flying_s: float = 3.0  # [s] PX4 says flying though disarmed
    battery_warning: int = 0  # [-] highest BatteryStatus.warning that is no event

    # Link and clock
    link_age_s: float = 1.0  # [s] silence of a topic (or ``silent_periods`` of its own)
    learn_count: int = 10  # [-] intervals before a topic's rate is known
    clock_jump_s: float = 0.5  # [s] above PX4's sawtooth of 0.2 s
    round_trip_max_s: float = 0.5  # [s] chosen

    # Actuation
    trim_learn_s: float = 4.0  # [s] of hover to learn each rotor's share
    trim_filter_s: float = 0.5  # [s] of the commands
    trim_slack: float = (
        0.12  # [-] log thrust not counted; set with the recorded quads, octo in view
    )
    trim_limit_s: float = 0.15  # [s] of log thrust: 40 % more is found in 0.7 s; set likewise
    collective_share: float = 0.2  # [-] mean command off hover (climb, descent); set likewise
    saturated: float = 0.98  # [-] command at the end of its range
    saturated_s: float = 0.5  # [s] of one rotor alone; set with the recorded flights in view
    hover_speed_m_s: float = 4.0  # [m/s] above this the air changes the trim
    hover_tilt_rad: float = 0.26  # [rad] 15 deg
    hover_rate_rad_s: float = 0.5  # [rad/s]
    hover_accel_m_s2: float = 1.5  # [m/s^2]

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            if not 0.0 <= value < 1e4:
                raise ValueError(f"{spec.name} is {value}, expected 0 to 10000")
            if value == 0.0 and spec.name != "battery_warning":
                raise ValueError(f"{spec.name} is zero")
        if not 0.5 <= self.probability < 1.0:
            raise ValueError(f"probability is {self.probability}, expected 0.5 to 1")
        if not self.clear_ratio <= 1.0:
            raise ValueError(f"clear_ratio is {self.clear_ratio}, expected at most 1")
