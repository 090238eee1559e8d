# SPDX-License-Identifier: Apache-2.0
"""Settings of the identification: what is believed before the flight, and how fast it may change.

Sigmas of ``*_sigma`` are of the belief before the first flight; ``*_walk`` per root second.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class IdentifyConfig:
    """Priors, random walks, noise floors and limits.

    Raises:
        ValueError: a value is not a finite number above zero, or a probability not below one.
    """

    publish_period_s: float = 1.0  # [s] vehicle time between reports
    block_s: float = 0.1  # [s] the IMU is averaged over blocks of this length

    # belief before the flight: relative, so 0.3 is 30 %
    mass_sigma: float = 0.3  # payload
    thrust_sigma: float = 0.02  # of the file's thrust constant
    moment_sigma: float = 0.1
    effect_sigma: float = 0.04  # spread between rotors of one aircraft
    centre_sigma_m: float = 0.015  # [m]
    rotor_drag_sigma: float = 0.3
    body_drag_sigma: float = 0.5
    inertia_sigma: float = 0.15
    inflow_sigma: float = 0.3  # thrust lost per speed along the axis
    rolling_sigma: float = 0.5  # rolling moment of the rotors
    lag_sigma: float = 0.2  # rotors' time constants
    yaw_trim_sigma: float = 0.02  # of the sum of all reaction torques in hover
    wind_sigma_m_s: float = 6.0  # [m/s] each horizontal axis

    # slow changes [1/sqrt(s)]; a battery that sags looks like less thrust
    mass_walk: float = 2e-4
    thrust_walk: float = 5e-4
    effect_walk: float = 1e-3
    centre_walk_m: float = 1e-4  # [m/sqrt(s)]
    coefficient_walk: float = 2e-4
    wind_walk_m_s: float = 0.1  # [m/s/sqrt(s)] of the mean wind; gusts come on top

    # abrupt changes, one hypothesis each
    fault_jump: float = 0.25  # of the effectiveness of the rotor in question
    fault_walk: float = 0.1  # [1/sqrt(s)] while that hypothesis lives
    payload_walk: float = 0.02  # [1/sqrt(s)] of the mass; its jump is mass_sigma
    payload_centre_walk_m: float = 0.002  # [m/sqrt(s)]; its jump is centre_sigma_m
    suppose_s: float = 0.5  # [s] a hypothesis that has lost begins anew so often
    fault_rate: float = 1e-3  # [1/s] prior rate of any abrupt change
    decide: float = 0.999  # [-] probability at which a change is believed
    suspect_loss: float = 0.07  # [-] a rotor is suspect from this loss of thrust on
    # the file of another aircraft: how likely it is, and what it is known by
    strange: float = 0.01  # [-] share of flights with such a file
    strange_rate: float = 0.1  # [1/s] of abrupt changes that it seems to need
    misfit_strange: float = 4.0  # [-] so many times larger squared innovations are after one
    sure: float = 0.99  # [-] probability at which a rotor is named, or the file called strange

    # whether some rotor was weak before anybody looked is a coin's toss: who asks has a reason.
    # with 0.04 a centre of mass beside a rotor that had lost 20 % was 2 sigmas rms off; README
    damaged: float = 0.5  # [-] of aircraft

    # noise of one block beyond what the IMU's own spread says
    force_noise_m_s2: float = 0.03  # [m/s^2] floor
    turn_noise_rad_s2: float = 0.05  # [rad/s^2] floor
    gate_sigma: float = 4.0  # innovations beyond this count as far as this
    noise_memory_s: float = 10.0  # [s] over which the noise is measured

    # what is judged
    height_min_m: float = 1.0  # [m] below this the ground's effect on the rotors tells lies
    drag_speed_m_s: float = 2.0  # [m/s] off the usual speed from which on drag is learnt
    wing_speed_m_s: float = 3.0  # [m/s] of an aircraft with wings, above which they lift
    tilt_max_rad: float = 1.0
    rate_max_rad_s: float = 4.0
    twin_age_max_s: float = 0.3
    command_age_max_s: float = 0.3
    known_share: float = 0.5  # [-] known when sigma fell below this share of the first belief

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            if not 0.0 < value < 1e6:
                raise ValueError(f"{spec.name} is {value}, expected above 0 and below 1e6")
        for name in ("decide", "strange", "damaged", "sure"):
            if not getattr(self, name) < 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected below 1")
