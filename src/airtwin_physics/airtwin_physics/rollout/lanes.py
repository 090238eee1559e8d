# SPDX-License-Identifier: Apache-2.0
"""How many aircraft lie side by side in memory, so that one instruction moves several of them.

A block holds L aircraft (lanes). Its numbers are one flat array of rows, L long: lane ``l`` of a
quantity is ``s[ROW + l]``, its next component ``s[ROW + L + l]``. Offsets known to the compiler
are what lets it see that rows never overlap, and so use vector instructions. What there is once a
rotor lies in ``r[i]``, laid out the same way.
"""

from __future__ import annotations

L = 32  # lanes: 4 registers of AVX-512, 8 of AVX2; a block then fits the first-level cache
E, D = L, 2 * L  # offset of the second and third component
X, Y, Z = L, 2 * L, 3 * L  # of a quaternion, w first

# rows of s: state, controllers, track, air, battery, scratch
(POS, VEL, QUAT, RATE) = (0 * L, 3 * L, 6 * L, 10 * L)
(CHARGE, ENERGY, POWER, ACC) = (13 * L, 14 * L, 15 * L, 16 * L)
(VEL_INT, VEL_LAST, VEL_DOT) = (19 * L, 22 * L, 25 * L)
(RATE_INT, RATE_LP, RATE_DOT) = (28 * L, 31 * L, 34 * L)
(HOVER, THRUST, THRUST_DOWN, THRUST_NED) = (37 * L, 38 * L, 39 * L, 40 * L)
(TRACK, YAW, GOAL, SPEED, LEG_YAW, NEAR) = (43 * L, 52 * L, 53 * L, 56 * L, 57 * L, 58 * L)
(WIND, INNER, RESISTANCE, SPEED_MOST) = (59 * L, 62 * L, 63 * L, 64 * L)
# what the phase of the flight allows: limit of the climb, least thrust, tangent of the tilt; 1 or
# 0: holds its height, motors obey, hover thrust is learnt, motors turn, the ground carries
(CLIMB_MOST, THRUST_LEAST, TILT_MOST) = (65 * L, 66 * L, 67 * L)
(HOLDS_HEIGHT, OBEYS, LEARNS, TURNS, STANDS) = (68 * L, 69 * L, 70 * L, 71 * L, 72 * L)
(UP_WANTED, DOWN_WANTED) = (73 * L, 74 * L)
(MASS, DRAG, TORQUE) = (75 * L, 76 * L, 79 * L)
(LOW, HIGH, KEEP, SHARE, DROP) = (82 * L, 83 * L, 84 * L, 85 * L, 86 * L)
(ROT, AIR, FORCE, MOMENT, SPIN) = (87 * L, 96 * L, 99 * L, 102 * L, 105 * L)
Q_WANTED, TURNING, GROUND_EFFECT = 106 * L, 110 * L, 113 * L
ROWS = 114

# rows of r[i]
(ROTOR, COMMAND, LIFT, IN_PLANE, INFLOW) = (0 * L, 1 * L, 2 * L, 3 * L, 4 * L)
ROTOR_ROWS = 5

# what all lanes share of one rotor: columns of rotor constants
(RX, RY, RZ, TURN, K_MOMENT, K_ROLL, SPEED_MIN, SPEED_SPAN, K_POWER) = range(9)
(KEEP_UP, KEEP_DOWN, MEAN_UP, MEAN_DOWN, SHARE_ROLL, SHARE_PITCH, SHARE_YAW) = range(9, 16)
K_INFLOW_2 = 16
N_ROTOR_CONSTANT = 17

# what all lanes share: constants of one aircraft
INERTIA, INVERSE = 0, 9  # row by row
(AVIONICS_W, SPEED_PER_VOLT, SPIN_INERTIA) = (18, 19, 20)
(GROUND, HUB, RADIUS) = (21, 22, 23)  # ground's plane, hubs below the centre of mass, radius [m]
N_CONSTANT = 24
