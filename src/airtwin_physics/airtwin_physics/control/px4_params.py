# SPDX-License-Identifier: Apache-2.0
"""PX4's parameters that the stand-in obeys, with PX4 v1.18's defaults and names in lower case.

Values: PX4 v1.18 parameter definitions (mc_pos_control, mc_att_control, mc_rate_control,
land_detector, commander, navigator, ekf2) and airframe 4001_gz_x500. Units are PX4's; the stand-in
differs on purpose where the comment says so.
"""

from __future__ import annotations

from math import inf, isfinite
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
    mc_pitchrate_p: float = 0.15  # [s/rad]
    mc_pitchrate_i: float = 0.2  # [1/rad]
    mc_pitchrate_d: float = 0.003  # [s^2/rad]
    mc_yawrate_p: float = 0.2  # [s/rad]
    mc_yawrate_i: float = 0.1  # [1/rad]
    mc_yawrate_d: float = 0.0  # [s^2/rad]
    mc_airmode: float = 0.0  # [-] 1: thrust is raised for roll and pitch; vtol only
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
        if not 0.0 <= float(value) < inf:
            raise ValueError(f"PX4 parameter {name} is {value}, expected a number >= 0")
        values[name.lower()] = float(value)
    return Px4Params()._replace(**values)


class Px4WingParams(NamedTuple):
    """PX4's parameters of flight on the wing, PX4 v1.18's defaults and names in lower case.

    Values: fw_att_control, fw_rate_control, fw_lateral_longitudinal_control, fw_mode_manager,
    fw_performance_model, runway_takeoff, land_detector, commander, navigator, vtol_att_control
    (their *_params.yaml). Units are PX4's.
    """

    npfg_period: float = 10.0  # [s]
    npfg_damping: float = 0.7  # [-]
    npfg_roll_tc: float = 0.5  # [s]
    npfg_period_sf: float = 1.5  # [-]
    npfg_sw_dst_mlt: float = 0.32  # [-]
    fw_gnd_spd_min: float = 5.0  # [m/s]
    fw_pn_r_slew_max: float = 90.0  # [deg/s]
    fw_r_lim: float = 50.0  # [deg]
    fw_p_lim_min: float = -30.0  # [deg]
    fw_p_lim_max: float = 30.0  # [deg]
    fw_psp_off: float = 0.0  # [deg]
    fw_airspd_stall: float = 7.0  # [m/s] airspeeds are calibrated: true ones at sea level
    fw_airspd_min: float = 10.0  # [m/s]
    fw_airspd_trim: float = 15.0  # [m/s]
    fw_airspd_max: float = 20.0  # [m/s]
    fw_thr_trim: float = 0.6  # [-]
    fw_thr_min: float = 0.0  # [-]
    fw_thr_max: float = 1.0  # [-]
    fw_thr_slew_max: float = 0.0  # [1/s] 0: no limit
    fw_t_clmb_max: float = 5.0  # [m/s]
    fw_t_clmb_r_sp: float = 3.0  # [m/s]
    fw_t_sink_max: float = 5.0  # [m/s]
    fw_t_sink_r_sp: float = 2.0  # [m/s]
    fw_t_sink_min: float = 2.0  # [m/s]
    fw_t_thr_damping: float = 0.05  # [-]
    fw_t_thr_integ: float = 0.02  # [1/s]
    fw_t_i_gain_pit: float = 0.1  # [1/s]
    fw_t_ptch_damp: float = 0.1  # [-]
    fw_t_vert_acc: float = 7.0  # [m/s^2]
    fw_t_rll2thr: float = 15.0  # [m^2/s^3]
    fw_t_alt_tc: float = 5.0  # [s]
    fw_t_tas_tc: float = 5.0  # [s]
    fw_t_hrate_ff: float = 0.5  # [-]
    fw_t_ste_r_tc: float = 0.4  # [s]
    fw_t_seb_r_ff: float = 1.0  # [-]
    fw_t_spdweight: float = 1.0  # [-]
    fw_r_tc: float = 0.4  # [s]
    fw_p_tc: float = 0.4  # [s]
    fw_r_rmax: float = 70.0  # [deg/s]
    fw_p_rmax_pos: float = 60.0  # [deg/s]
    fw_p_rmax_neg: float = 60.0  # [deg/s]
    fw_y_rmax: float = 50.0  # [deg/s]
    fw_rr_p: float = 0.05  # [s/rad]
    fw_rr_i: float = 0.1  # [1/rad]
    fw_rr_ff: float = 0.5  # [s/rad]
    fw_rr_imax: float = 0.2  # [-]
    fw_pr_p: float = 0.08  # [s/rad]
    fw_pr_i: float = 0.1  # [1/rad]
    fw_pr_ff: float = 0.5  # [s/rad]
    fw_pr_imax: float = 0.4  # [-]
    fw_yr_p: float = 0.05  # [s/rad]
    fw_yr_i: float = 0.1  # [1/rad]
    fw_yr_ff: float = 0.3  # [s/rad]
    fw_yr_imax: float = 0.2  # [-]
    fw_rll_to_yaw_ff: float = 0.0  # [-]
    fw_arsp_scale_en: float = 1.0  # [-] 0: surfaces are not scaled with the airspeed
    trim_roll: float = 0.0  # [-]
    trim_pitch: float = 0.0  # [-]
    trim_yaw: float = 0.0  # [-]
    nav_acc_rad: float = 10.0  # [m]
    nav_loiter_rad: float = 80.0  # [m]
    vt_arsp_blend: float = 8.0  # [m/s]
    vt_arsp_trans: float = 10.0  # [m/s]
    vt_f_trans_thr: float = 1.0  # [-]
    vt_f_trans_dur: float = 5.0  # [s] of the pitch's ramp of a tailsitter
    vt_fw_difthr_s_y: float = 0.1  # [-] share of yaw torque that a tailsitter's motors give
    vt_psher_slew: float = 0.33  # [1/s]
    vt_trans_min_tm: float = 2.0  # [s]
    vt_trans_timeout: float = 15.0  # [s]
    vt_b_trans_dur: float = 10.0  # [s]
    vt_b_trans_ramp: float = 3.0  # [s]
    vt_b_dec_mss: float = 2.0  # [m/s^2]
    vt_b_dec_i: float = 0.1  # [rad s/m]
    fw_tko_pitch_min: float = 10.0  # [deg]
    fw_tko_airspd: float = -1.0  # [m/s] <= 0: FW_AIRSPD_MIN
    rwto_max_thr: float = 1.0  # [-]
    rwto_psp: float = 0.0  # [deg] pitch on the wheels
    rwto_ramp_time: float = 2.0  # [s]
    rwto_rot_airspd: float = -1.0  # [m/s] <= 0: 0.9 of the take-off's airspeed
    rwto_rot_time: float = 1.0  # [s]
    fw_w_en: float = 0.0  # 1: the nose wheel is steered
    fw_wr_p: float = 0.5  # [s/rad]
    fw_wr_i: float = 0.1  # [1/rad]
    fw_wr_imax: float = 0.4  # [-]
    fw_wr_ff: float = 0.2  # [s/rad]
    fw_w_rmax: float = 30.0  # [deg/s]
    fw_thr_idle: float = 0.0  # [-]
    fw_wing_span: float = 3.0  # [m]
    fw_wing_height: float = 0.5  # [m] of the wing above ground on the wheels
    fw_lnd_ang: float = 5.0  # [deg] steepest slope
    fw_lnd_airspd: float = -1.0  # [m/s] <= 0: FW_AIRSPD_MIN
    fw_lnd_flalt: float = 0.5  # [m]
    fw_lnd_fl_time: float = 1.0  # [s]
    fw_lnd_fl_sink: float = 0.25  # [m/s]
    fw_lnd_fl_pmin: float = 2.5  # [deg]
    fw_lnd_fl_pmax: float = 15.0  # [deg]
    fw_lnd_td_time: float = -1.0  # [s] <= 0: the pitch is not clamped to RWTO_PSP
    lndfw_vel_xy_max: float = 5.0  # [m/s]
    lndfw_vel_z_max: float = 1.0  # [m/s]
    lndfw_xyacc_max: float = 8.0  # [m/s^2]
    lndfw_airspd_max: float = 6.0  # [m/s]
    lndfw_trig_time: float = 2.0  # [s]
    com_disarm_land: float = 2.0  # [s]


# What a pilot sets for an airframe. standard_vtol: PX4 airframe 4004_gz_standard_vtol.
# aerosonde: PX4 has no airframe of it; speeds from its dynamics (it stalls near 17 m/s), throttle,
# pitch and elevator those of dynamics.trim at 22 m/s; its propeller does not pull below about half
# of the throttle. With PX4's LNDFW_AIRSPD_MAX of 6 m/s it never counts as landed in more wind than
# that; 12 is well below its stall. Gains are PX4's defaults.
WING_AIRFRAMES: dict[str, dict[str, float]] = {
    "aerosonde": {
        "FW_AIRSPD_STALL": 17.0,
        "FW_AIRSPD_MIN": 19.0,
        "FW_AIRSPD_TRIM": 22.0,
        "FW_AIRSPD_MAX": 28.0,
        "FW_THR_TRIM": 0.74,
        "FW_PSP_OFF": 5.0,
        "TRIM_PITCH": 0.5,
        "FW_W_EN": 1.0,
        "FW_WING_SPAN": 2.9,
        "LNDFW_AIRSPD_MAX": 12.0,
    },
    "tailsitter": {
        "FW_AIRSPD_STALL": 6.0,
        "FW_AIRSPD_MIN": 7.0,
        "FW_AIRSPD_TRIM": 10.0,
        "FW_AIRSPD_MAX": 12.0,
        "FW_ARSP_SCALE_EN": 0.0,
        "FW_PSP_OFF": 5.0,
        "FW_THR_TRIM": 0.78,
        "FW_PR_P": 0.12,
        "FW_PR_FF": 0.15,
        "FW_RR_P": 0.15,
        "FW_RR_FF": 0.2,
        "VT_ARSP_TRANS": 6.0,
        "VT_B_TRANS_DUR": 5.0,
        "VT_FW_DIFTHR_S_Y": 0.3,
    },
    "standard_vtol": {
        "NPFG_PERIOD": 12.0,
        "FW_PR_FF": 0.2,
        "FW_PR_P": 0.9,
        "FW_PSP_OFF": 2.0,
        "FW_P_LIM_MIN": -15.0,
        "FW_RR_FF": 0.1,
        "FW_RR_P": 0.3,
        "FW_THR_TRIM": 0.25,
        "FW_THR_MAX": 0.6,
        "FW_THR_MIN": 0.05,
        "FW_T_CLMB_MAX": 8.0,
        "FW_T_SINK_MAX": 2.7,
        "FW_T_SINK_MIN": 2.2,
        "NAV_ACC_RAD": 5.0,
        "VT_F_TRANS_THR": 0.75,
    },
}

# What PX4's rc.vtol_defaults and 4004_gz_standard_vtol change of the multirotor's parameters.
# MPC_THR_HOVER is PX4's default.
HOVER_AIRFRAMES: dict[str, dict[str, float]] = {
    "tailsitter": {"MC_PITCH_P": 5.0, "MPC_THR_HOVER": 0.7},
    "standard_vtol": {
        "MC_AIRMODE": 1.0,
        "MC_ROLL_P": 5.0,
        "MC_ROLLRATE_P": 0.3,
        "MC_ROLLRATE_MAX": 120.0,
        "MC_YAW_P": 1.6,
        "MC_YAWRATE_MAX": 120.0,
        "MPC_THR_HOVER": 0.5,
        "MPC_XY_ERR_MAX": 5.0,
        "MPC_XY_P": 0.8,
        "MPC_XY_VEL_P_ACC": 3.0,
        "MPC_XY_VEL_I_ACC": 4.0,
        "MPC_XY_VEL_D_ACC": 0.1,
        "MPC_XY_VEL_MAX": 8.0,
    },
}


def wing_params(airframe: str, overrides: dict[str, float] | None = None) -> Px4WingParams:
    """Return PX4's defaults with those of ``airframe`` and ``overrides`` by PX4 name.

    Raises:
        ValueError: an airframe whose parameters are not known (PX4's defaults are those of some
            other aircraft, with speeds that this one may not be able to fly), a name that the
            laws here do not have, or a value that is not finite.
    """
    if airframe not in WING_AIRFRAMES:
        raise ValueError(
            f"{airframe}: no PX4 parameters are known for its wing, only for those of "
            f"{', '.join(sorted(WING_AIRFRAMES))}"
        )
    values: dict[str, float] = {}
    for name, value in (WING_AIRFRAMES[airframe] | (overrides or {})).items():
        if name.lower() not in Px4WingParams._fields:
            raise ValueError(f"PX4 parameter {name} is not one that the wing's laws obey")
        if not isfinite(float(value)):
            raise ValueError(f"PX4 parameter {name} is {value}, expected a number")
        values[name.lower()] = float(value)
    return Px4WingParams()._replace(**values)
