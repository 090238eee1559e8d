# SPDX-License-Identifier: Apache-2.0
"""The values that describe an aircraft of any kind; units and frames in the names."""

from __future__ import annotations

from dataclasses import dataclass

from airtwin_core.types import Array


class AircraftError(ValueError):
    """A model or configuration file that does not describe an aircraft; names file and field."""


@dataclass(frozen=True, slots=True)
class MassProperties:
    """All links of an SDF model as one rigid body.

    ``centre_flu_m`` (3,): centre of mass in the model's frame; ``inertia_frd_kg_m2`` (3, 3):
    about the centre of mass; the others relative to the centre of mass, FRD [m].
    """

    mass_kg: float
    centre_flu_m: Array
    inertia_frd_kg_m2: Array
    rotor_positions_frd_m: Array
    rotor_turns: Array
    rotor_inertia_kg_m2: float
    feet_frd_m: Array
    rotor_axes_frd: Array
    foot_rolls: Array
    foot_steered: Array


@dataclass(frozen=True, slots=True)
class RotorCoefficients:
    """One kind of rotor; units in the names, meaning and sources in config/aircraft/*.yaml.

    Equations in airtwin_physics/dynamics/README.md. ``inflow_square_n_s2_m2``: how the
    thrust falls with the square of the speed along the axis; 0 where only the linear part is
    known. ``thrust_factor``: PX4's THR_MDL_FAC, where no log tells it (``thrust_curve``).
    """

    thrust_n_s2: float
    moment_m: float
    drag_n_s2_m: float
    rolling_moment_n_s2: float
    inflow_n_s2_m: float
    inflow_square_n_s2_m2: float
    time_constant_up_s: float
    time_constant_down_s: float
    speed_min_rad_s: float
    speed_max_rad_s: float
    radius_m: float
    power_w_s3: float
    thrust_factor: float = 0.0


@dataclass(frozen=True, slots=True)
class BatteryCoefficients:
    """A battery; ``ocv_cell_v``: open-circuit voltage at evenly spaced charge, 0 to 1.

    Equations in airtwin_physics/battery/model.py. Resistances are the pack's at 25 deg C, well
    charged; ``polarisation_*``: one RC pair; ``cutoff_cell_v``: empty, under load.
    ``learned_discharges``: how many of this very pack the other numbers were fitted to.
    """

    cells: int
    capacity_ah: float
    resistance_ohm: float
    resistance_activation_k: float
    resistance_empty: float
    resistance_empty_charge: float
    polarisation_ohm: float
    polarisation_s: float
    heat_capacity_j_k: float
    cooling_w_k: float
    cutoff_cell_v: float
    avionics_w: float
    speed_per_volt_rad_s_v: float
    ocv_cell_v: Array
    learned_discharges: float = 0.0


@dataclass(frozen=True, slots=True)
class GroundCoefficients:
    """Contact: spring, damper, friction; ``rolling_friction`` of a wheel along the aircraft's x.

    ``rest_pitch_rad``: pitch at which the aircraft stands; 0, for a tailsitter pi / 2.
    """

    stiffness_n_m: float
    damping_n_s_m: float
    friction: float
    rolling_friction: float
    rest_pitch_rad: float


@dataclass(frozen=True, slots=True)
class Servo:
    """What moves control surfaces: command -1 to 1 maps to ``least_rad`` .. 0 .. ``most_rad``."""

    name: str
    least_rad: float
    most_rad: float
    time_constant_s: float


@dataclass(frozen=True, slots=True)
class Surface:
    """One lifting surface: half a wing, a tail, a fin, the side of a fuselage.

    ``place_frd_m`` (3,): aerodynamic centre from the centre of mass; ``forward_frd``,
    ``normal_frd`` (3,): unit vectors along the chord and towards the side to which positive lift
    acts; ``aspect_ratio`` of the whole wing of which it is a part, ``span_m`` its span (ground
    effect). ``servo``: index of the servo or -1, ``gain``: its sign and share; ``flap``: how much
    angle of attack an angle of the flap is worth [-]. ``wash_rotor``: index of the rotor whose
    slipstream it stands in, or -1, ``wash``: share of the slipstream's speed. ``downwash``: by how
    much the angle of attack falls here per angle of the aircraft [-], behind the surface with the
    index ``downwash_of`` (-1: none), while the flow there is attached.
    """

    name: str
    place_frd_m: Array
    forward_frd: Array
    normal_frd: Array
    area_m2: float
    chord_m: float
    span_m: float
    aspect_ratio: float
    oswald: float
    lift_0: float
    lift_slope: float
    drag_0: float
    moment_0: float
    stall_rad: float
    stall_sharpness: float
    servo: int
    gain: float
    flap: float
    flap_moment: float
    wash_rotor: int
    wash: float
    downwash_of: int
    downwash: float


@dataclass(frozen=True, slots=True)
class Aircraft:
    """A multirotor, a fixed wing or both. ``rotor_positions_frd_m``: (n, 3) [m] from its centre
    of mass.

    ``rotor_turns``: (n,), +1 turns clockwise seen against its thrust, from above for a lift rotor
    (angular momentum down, FRD z). ``rotor_axes_frd`` (n, 3): unit vector of its thrust; up is
    (0, 0, -1). ``drag_area_frd_m2``: (3,) cd * A [m^2]. ``feet_frd_m``: (k, 3), lowest points;
    ``foot_rolls`` (k,): 1 for a wheel, else 0; ``foot_servos`` (k,): index of the servo that
    steers it, + to the right, or -1. ``pushers``: coefficients of the rotors listed in
    ``pusher_motors``, all others are ``rotors``. ``rotor_effectiveness`` (n,): 1 is as new.
    """

    name: str
    mass_kg: float
    inertia_frd_kg_m2: Array
    rotor_positions_frd_m: Array
    rotor_turns: Array
    rotor_inertia_kg_m2: float
    feet_frd_m: Array
    rotors: RotorCoefficients
    drag_area_frd_m2: Array
    battery: BatteryCoefficients
    ground: GroundCoefficients
    rotor_axes_frd: Array
    foot_rolls: Array
    foot_servos: Array
    rotor_effectiveness: Array
    pushers: RotorCoefficients | None = None
    pusher_motors: tuple[int, ...] = ()
    surfaces: tuple[Surface, ...] = ()
    servos: tuple[Servo, ...] = ()

    @property
    def rotor_count(self) -> int:
        """Return the number of rotors."""
        return int(self.rotor_turns.shape[0])

    def rotor(self, i: int) -> RotorCoefficients:
        """Return the coefficients of rotor ``i``."""
        if self.pushers is not None and i in self.pusher_motors:
            return self.pushers
        return self.rotors
