# SPDX-License-Identifier: Apache-2.0
"""PX4's parameters that the stand-in obeys, with PX4 v1.18's defaults and names in lower case.

Values: PX4 v1.18 parameter definitions (mc_pos_control, mc_att_control, mc_rate_control,
land_detector, commander, navigator, ekf2) and airframe 4001_gz_x500. Units are PX4's; the stand-in
differs on purpose where the comment says so.
"""

from __future__ import annotations

from typing import NamedTuple


class Px4Params(NamedTuple):
    """One value per PX4 parameter; ``with_overrides`` takes the names in either case."""

    mpc_xy_p: float = 0.95  # [1/s]
    mpc_z_p: float = 1.0  # [1/s]
    mpc_xy_vel_p_acc: float = 1.8  # [1/s]
    mpc_xy_vel_i_acc: float = 0.4  # [1/s^2]
    mpc_xy_vel_d_acc: float = 0.2  # [-]
    mpc_z_vel_p_acc: float = 4.0  # [1/s]
    mpc_z_vel_i_acc: float = 2.0  # [1/s^2]
    mpc_z_vel_d_acc: float = 0.0  # [-]
    mpc_veld_lp: float = 5.0  # [Hz]
    mpc_xy_vel_max: float = 12.0  # [m/s]
    mpc_xy_cruise: float = 5.0  # [m/s]
    mpc_z_vel_max_up: float = 3.0  # [m/s]
    mpc_z_vel_max_dn: float = 1.5  # [m/s]
    mpc_z_v_auto_up: float = 3.0  # [m/s]
    mpc_z_v_auto_dn: float = 1.5  # [m/s]
    mpc_acc_hor: float = 3.0  # [m/s^2]
    mpc_acc_up_max: float = 4.0  # [m/s^2]
    mpc_acc_down_max: float = 3.0  # [m/s^2]
    mpc_jerk_auto: float = 4.0  # [m/s^3]
    mpc_xy_err_max: float = 2.0  # [m] the setpoint waits for an aircraft further behind than this
    mpc_yawrauto_max: float = 60.0  # [deg/s]
    mpc_tiltmax_air: float = 45.0  # [deg]
    mpc_tiltmax_lnd: float = 12.0  # [deg]
    mpc_thr_min: float = 0.12  # [-]
    mpc_thr_max: float = 1.0  # [-]
    mpc_thr_hover: float = 0.6  # [-] airframe 4001_gz_x500
    mpc_thr_xy_marg: float = 0.3  # [-]
    mpc_tko_ramp_t: float = 3.0  # [s]
    mpc_tko_speed: float = 1.5  # [m/s]
    mpc_land_speed: float = 0.7  # [m/s]
    mpc_land_alt1: float = 10.0  # [m]
    mpc_land_alt2: float = 5.0  # [m]
    mc_roll_p: float = 4.0  # [1/s]
    mc_pitch_p: float = 4.0  # [1/s]
    mc_yaw_p: float = 2.8  # [1/s]
    mc_yaw_weight: float = 0.4  # [-]
    mc_rollrate_max: float = 220.0  # [deg/s]
    mc_pitchrate_max: float = 220.0  # [deg/s]
    mc_yawrate_max: float = 200.0  # [deg/s]
    mc_rollrate_p: float = 0.15  # [s/rad]
    mc_rollrate_i: float = 0.2  # [1/rad]
    mc_rollrate_d: float = 0.003  # [s^2/rad]
    mc_pitchrate_p: float = 0.15
    mc_pitchrate_i: float = 0.2
    mc_pitchrate_d: float = 0.003
    mc_yawrate_p: float = 0.2
    mc_yawrate_i: float = 0.1
    mc_yawrate_d: float = 0.0
    mc_rr_int_lim: float = 0.3  # [-] PX4 has one such limit an axis, all 0.3
    imu_gyro_cutoff: float = 40.0  # [Hz]
    imu_dgyro_cutoff: float = 30.0  # [Hz]
    lndmc_xy_vel_max: float = 1.5  # [m/s]
    lndmc_z_vel_max: float = 0.25  # [m/s]
    lndmc_rot_max: float = 20.0  # [deg/s]
    com_spoolup_time: float = 1.0  # [s]
    com_of_loss_t: float = 1.0  # [s]
    com_disarm_land: float = 2.0  # [s]
    com_disarm_prflt: float = 10.0  # [s]
    com_low_bat_act: float = 3.0  # PX4: 0 (warn); here 3: return at critical, land at emergency
    bat_low_thr: float = 0.15  # [-]
    bat_crit_thr: float = 0.07  # [-]
    bat_emergen_thr: float = 0.05  # [-]
    mis_takeoff_alt: float = 2.5  # [m]
    nav_mc_alt_rad: float = 0.8  # [m]
    rtl_return_alt: float = 60.0  # [m] above home
    rtl_descend_alt: float = 30.0  # [m] above home
    rtl_min_dist: float = 10.0  # [m]
    rtl_cone_ang: float = 45.0  # [deg]
    ekf2_noaid_tout: float = 5.0  # [s] PX4: 5,000,000 us
    ekf2_gps_p_gate: float = 5.0  # [sigma]
    ekf2_gps_v_gate: float = 5.0  # [sigma]
    ekf2_gps_p_noise: float = 0.5  # [m]
    ekf2_gps_v_noise: float = 0.3  # [m/s]
    # EKF2_HGT_REF is GNSS (1) in PX4 v1.18; here the barometer leads, as it did before v1.14


def with_overrides(overrides: dict[str, float]) -> Px4Params:
    """Return the defaults with ``overrides`` by PX4 name, e.g. ``{"RTL_RETURN_ALT": 15}``.

    Raises:
        ValueError: a name that the stand-in does not have, or a value that is no number >= 0.
    """
    values: dict[str, float] = {}
    for name, value in overrides.items():
        if name.lower() not in Px4Params._fields:
            raise ValueError(f"PX4 parameter {name} is not one that the stand-in obeys")
        if not float(value) >= 0.0:
            raise ValueError(f"PX4 parameter {name} is {value}, expected a number >= 0")
        values[name.lower()] = float(value)
    return Px4Params()._replace(**values)
