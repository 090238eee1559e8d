# SPDX-License-Identifier: Apache-2.0
"""The estimator's settings: also the parameters of the node ``physics``."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class EstimatorConfig:
    """Noise, delays and limits. Densities are per root hertz, random walks per root second.

    PX4 states its EKF2 noise per 10 ms step; a density here is that value times sqrt(0.01 s).

    Raises:
        ValueError: a value is outside its range.
    """

    publish_period_s: float = 0.02  # [s] vehicle time between published states
    horizon_s: float = 0.2  # [s] the filter waits so long at most for the latest of its sensors
    gap_max_s: float = 1.0  # [s] an IMU gap longer than this loses the state: align again
    stamp_jump_s: float = 0.05  # [s] a longer IMU stamp step must be confirmed by arrival times

    # IMU. Sources: EKF2_GYR_NOISE 0.015, EKF2_ACC_NOISE 0.35, *_B_NOISE 0.001 and 0.003 of PX4.
    gyro_noise: float = 1.5e-3  # [rad/s/sqrt(Hz)]
    accel_noise: float = 3.5e-2  # [m/s^2/sqrt(Hz)]
    gyro_bias_walk: float = 1e-4  # [rad/s/sqrt(s)]
    accel_bias_walk: float = 3e-4  # [m/s^2/sqrt(s)]
    gyro_bias_sigma: float = 0.01  # [rad/s] at start in flight, calibrated; at rest a third
    accel_bias_sigma: float = 0.2  # [m/s^2] at start
    gap_rate_rad_s: float = 0.3  # [rad/s] what a lost IMU sample may have held
    gap_accel_m_s2: float = 3.0  # [m/s^2] likewise
    clip_accel_m_s2: float = 20.0  # [m/s^2] what a clipped sample may hide
    impact_accel_m_s2: float = 80.0  # [m/s^2] a sample beyond this is an impact: half of 16 g

    # GNSS
    gnss_delay_s: float = 0.08  # [s] age of a fix stamped on arrival: simulators 0, receivers 0.12
    gnss_delay_sigma_s: float = 0.05  # [s] of that; the filter finds the rest
    gnss_delay_max_s: float = 0.35  # [s] no fix is older than this at its stamp
    gnss_eph_min_m: float = 0.5  # [m] no horizontal claim below this is believed
    gnss_epv_min_m: float = 0.8  # [m] no vertical one below this
    gnss_eph_max_m: float = 25.0  # [m] a claim above this is not used
    gnss_epv_max_m: float = 40.0  # [m] likewise
    gnss_speed_min_m_s: float = 0.25  # [m/s] no speed accuracy below this is believed
    gnss_speed_max_m_s: float = 5.0  # [m/s] above this the velocity is not used
    gnss_white_share: float = 0.2  # [-] of a claim that is new each fix; the rest wanders
    gnss_wander_s: float = 120.0  # [s] correlation time of what wanders
    gnss_jitter_s: float = 0.02  # [s] by which the age of one fix differs from the others'
    gnss_doubt_s: float = 60.0  # [s] for so long at most a torn receiver has to be of one piece
    gnss_fix_min: int = 3  # [-] PX4's fix_type, 3 is 3D

    # Barometer, heading
    barometer_noise_m: float = 0.5  # [m] of one sample; 0.06 to 0.55 on 18 logs of PX4
    barometer_walk: float = 0.05  # [m/sqrt(s)] weather and warm-up
    barometer_wash_s: float = 1.5  # [s] an error by moving air lasts; its size is learnt
    barometer_suction_sigma: float = 0.25  # [-] of the dynamic pressure: EKF2_PCOEF_* within 0.5
    barometer_suction_walk: float = 0.01  # [1/sqrt(s)] it depends on where the air comes from
    barometer_period_s: float = 0.05  # [s] samples between are skipped: their noise is not new
    barometer_delay_s: float = 0.0  # [s]
    magnetometer_noise_rad: float = 0.05  # [rad] of the heading, new with each sample
    magnetometer_offset_rad: float = 0.15  # [rad] of the heading by hard iron and currents
    magnetometer_period_s: float = 0.1  # [s]
    field_min_gauss: float = 0.15  # [gauss] Earth has 0.22 to 0.67
    field_max_gauss: float = 0.95  # [gauss]
    heading_noise_rad: float = 0.05  # [rad] of PX4's heading, new with each sample
    heading_offset_rad: float = 0.1  # [rad] of PX4's heading, lasting
    heading_wander_s: float = 100.0  # [s] correlation time of either offset
    heading_period_s: float = 0.2  # [s]

    # Air. Without an aircraft file drag is what EKF2_MCOEF and EKF2_BCOEF_* assume.
    model_aiding: bool = True  # wind, drag, airspeed, sideslip; off: the IMU alone bridges outages
    drag_1_s: float = 0.15  # [1/s] of the rotors at hover, specific force per air speed
    drag_sigma: float = 0.8  # [-] of its logarithm without an aircraft file: 0.07 to 0.33
    drag_file_sigma: float = 0.25  # [-] of its logarithm with one: files are estimates too
    drag_walk: float = 0.005  # [1/sqrt(s)] of its logarithm
    thrust_lean_sigma: float = 0.015  # [-] each of x, y; a real X500 leans by 0.02 to 0.03
    thrust_lean_walk: float = 3e-4  # [1/sqrt(s)] rotors share the load in another way
    drag_quadratic_1_m: float = 0.006  # [1/m] half air density over a ballistic 100 kg/m^2
    drag_noise_m_s2: float = 0.6  # [m/s^2] of 40 ms beyond vibration, gusts; EKF2: sqrt(2.5)
    wind_walk: float = 0.05  # [m/s/sqrt(s)] of the mean wind; EKF2_WIND_NSD
    gust_intensity: float = 1.0  # [-] of gusts over those of MIL-F-8785C in this wind
    wind_sigma_m_s: float = 6.0  # [m/s] each of north, east before anything shows it
    wind_valid_m_s: float = 2.0  # [m/s] a wind less certain than this is not valid
    airspeed_noise_m_s: float = 1.4  # [m/s] EKF2_EAS_NOISE
    airspeed_period_s: float = 0.1  # [s]
    airspeed_min_m_s: float = 7.0  # [m/s] below this a pitot tube and zero sideslip mean little
    airspeed_scale_sigma: float = 0.1  # [-] of its logarithm
    airspeed_scale_walk: float = 0.001  # [1/sqrt(s)] of its logarithm
    sideslip_noise_rad: float = 0.3  # [rad] EKF2_BETA_NOISE
    terrain_walk: float = 0.5  # [m/sqrt(s)] EKF2_TERR_NOISE 5 m/s per 10 ms step

    # Ground below: rangefinder and optical flow. Sources: EKF2's defaults of PX4 v1.18.
    terrain_walk_near: float = 0.05  # [m/sqrt(s)] where flight is slow and low: ground stays put
    range_aid_height_m: float = 5.0  # [m] EKF2_RNG_A_HMAX: below it is low
    range_aid_speed_m_s: float = 1.0  # [m/s] EKF2_RNG_A_VMAX: below it is slow
    range_noise_m: float = 0.1  # [m] EKF2_RNG_NOISE; no claim below is believed
    range_noise_share: float = 0.05  # [-] of the distance, EKF2_RNG_SFE
    range_max_m: float = 1000.0  # [m]
    range_cos_tilt_min: float = 0.7071  # [-] cosine of the tilt; EKF2 stops at 45 deg
    range_recover_s: float = 1.0  # [s] after so long the ground is elsewhere
    range_period_s: float = 0.05  # [s] samples between are skipped
    range_delay_s: float = 0.005  # [s] EKF2_RNG_DELAY
    ground_clearance_m: float = 0.1  # [m] of a standing aircraft, EKF2_MIN_RNG
    ground_clearance_sigma_m: float = 0.3  # [m]
    flow_noise_rad_s: float = 0.15  # [rad/s] at best quality, EKF2_OF_N_MIN
    flow_noise_worst_rad_s: float = 0.5  # [rad/s] at flow_quality_min, EKF2_OF_N_MAX
    flow_quality_min: float = 0.004  # [-] of 1, EKF2_OF_QMIN 1 of 255
    flow_period_s: float = 0.02  # [s]
    flow_delay_s: float = 0.02  # [s] EKF2_OF_DELAY

    # Pose from outside, heading by two antennas
    pose_noise_m: float = 0.1  # [m] EKF2_EVP_NOISE; no claim below is believed
    pose_speed_noise_m_s: float = 0.1  # [m/s] EKF2_EVV_NOISE
    pose_heading_noise_rad: float = 0.1  # [rad] EKF2_EVA_NOISE
    pose_period_s: float = 0.03  # [s]
    pose_delay_s: float = 0.0  # [s] EKF2_EV_DELAY
    gnss_heading_noise_rad: float = 0.1  # [rad] EKF2's gnss_heading_noise; no claim below

    # Noise as the innovations show it, sigma over the claim
    adapt_samples: float = 100.0  # [-] that it remembers; 0: take the claims as they are
    adapt_min: float = 0.3  # [-] bounds of the factor
    adapt_max: float = 2.0  # [-]
    noisy_factor: float = 1.5  # [-] from here on a source counts as noisy

    # Gates and recovery
    gate_probability: float = 0.99999  # [-] of a good innovation passing
    recover_s: float = 7.0  # [s] a gate shut for so long is opened by a reset
    valid_s: float = 5.0  # [s] a quantity not observed for so long is not valid

    # Alignment and rest
    align_min_s: float = 0.3  # [s] IMU data before the first attitude
    align_max_s: float = 2.0  # [s] wait no longer for a heading
    still_rate_rad_s: float = 0.05  # [rad/s] spread of the gyro at rest
    still_accel_m_s2: float = 0.6  # [m/s^2] spread of the accelerometer at rest
    rest_speed_m_s: float = 0.03  # [m/s] what a still aircraft on the ground may creep
    still_speed_m_s: float = 1.0  # [m/s] likewise, if only the IMU says rest and nothing aids
    unaided_speed_m_s: float = 5.0  # [m/s] without any aid, speeds are of this size

    def __post_init__(self) -> None:
        for spec in fields(EstimatorConfig):  # those of a subclass are its own to check
            value = getattr(self, spec.name)
            if not 0.0 <= value < 1e6:
                raise ValueError(f"{spec.name} is {value}, expected 0 to 1e6")
            may_be_zero = isinstance(value, bool) or spec.name.endswith(
                ("_delay_s", "_walk", "_samples")
            )
            if value == 0.0 and not may_be_zero:
                raise ValueError(f"{spec.name} is zero")
        for name in (
            "gate_probability",
            "gnss_white_share",
            "range_cos_tilt_min",
            "flow_quality_min",
        ):
            if not getattr(self, name) < 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected below 1")
        if self.horizon_s > 1.0:
            raise ValueError(f"horizon_s is {self.horizon_s}, expected at most 1")
