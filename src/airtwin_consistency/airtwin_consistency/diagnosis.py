# SPDX-License-Identifier: Apache-2.0
"""Why? The first rule that fits names the probable cause; where none does it is "unknown".

A rule asks for symptoms of the failed check itself (``own``) and for symptoms of deviations that
are open or were a short while ago (``recent``). One symptom of each set is enough; an empty set
asks for nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

UNKNOWN = "unknown"

_NONE: frozenset[str] = frozenset()
_MOTION = frozenset({"CON-POS-1", "CON-POS-2", "CON-VEL-1", "CON-ATT-1", "CON-ATT-2"})
_PLACE = frozenset({"CON-POS-1", "CON-VEL-1"})
_HEIGHT = frozenset({"CON-POS-2", "CON-VEL-1"})
_GNSS_BASED = _MOTION | {"CON-GNS-3", "CON-BAR-2", "CON-IMU-1"}
_PREFIX_ROTOR = "rotor "


@dataclass(frozen=True, slots=True)
class Rule:
    """``cause`` explains ``requirements`` where the symptoms are found."""

    cause: str
    requirements: frozenset[str]
    own: frozenset[str] = _NONE
    recent: frozenset[str] = _NONE


def _own(cause: str, requirement: str, *symptoms: str) -> Rule:
    return Rule(cause, frozenset({requirement}), own=frozenset(symptoms))


def _after(cause: str, requirements: frozenset[str], *symptoms: str) -> Rule:
    return Rule(cause, requirements, recent=frozenset(symptoms))


JUMP = "GNSS jump (spoofing or multipath)"
DRIFT = "GNSS drift (spoofing)"
POOR = "GNSS poor (multipath or interference)"

RULES: tuple[Rule, ...] = (
    # the deviation is the cause
    _own("link outage", "CON-LNK-1", "all topics silent"),
    _own("IMU fault", "CON-LNK-1", "imu silent"),
    _own("twin stopped", "CON-LNK-1", "twin/state silent"),
    _own("topic stopped", "CON-LNK-1"),
    _after("link outage", frozenset({"CON-CLK-1"}), "all topics silent"),
    _own("link delay", "CON-CLK-1", "slow round trip", "clock behind"),
    _own("clock jump", "CON-CLK-1", "clock ahead"),
    _own("GNSS lost", "CON-GNS-1"),
    _own(JUMP, "CON-GNS-2"),
    _own(POOR, "CON-GNS-4"),
    _own("barometer stopped", "CON-BAR-1"),
    _own("PX4 height reset", "CON-RST-1", "height reset"),
    _own("PX4 position reset", "CON-RST-1", "position reset"),
    _own("PX4 heading reset", "CON-RST-1", "heading reset"),
    _own("PX4 estimator switch", "CON-RST-2"),
    _own("VTOL transition failure", "CON-MOD-1", "transition failed"),
    _own("autopilot failsafe", "CON-MOD-1", "failsafe"),
    _own("battery low", "CON-BAT-1"),
    _own("no absolute position source", "CON-POS-3", "dead reckoning", "claim worthless"),
    # the deviation follows from another
    _after("VTOL transition failure", frozenset({"CON-ATT-3"}), "transition failed"),
    _own("loss of control", "CON-ATT-3"),
    _after("loss of control", frozenset({"CON-PHS-1"}), "upset"),
    _own("land detector wrong", "CON-PHS-1", "landed but moving"),
    _after("loss of control", _GNSS_BASED, "upset"),
    _after(JUMP, _GNSS_BASED, "gnss jump"),
    _after(POOR, frozenset({"CON-GNS-3"}), "gnss poor"),
    _own(DRIFT, "CON-GNS-3", "gnss drift", "gnss velocity step"),
    _after("IMU fault", frozenset({"CON-GNS-3"}), "gyro bias", "accel bias"),
    _after(DRIFT, _GNSS_BASED - {"CON-GNS-3"}, "gnss drift", "gnss velocity step"),
    _own("IMU fault", "CON-IMU-1"),
    _after("PX4 position reset", _PLACE, "position reset"),
    _after("PX4 height reset", _HEIGHT, "height reset"),
    _after("PX4 heading reset", _MOTION, "heading reset"),
    _after("PX4 estimator switch", _MOTION, "estimator switched"),
    _after("barometer stopped", _HEIGHT, "barometer silent"),
    _after("GNSS lost", _PLACE | _HEIGHT, "gnss lost"),
    _after("IMU fault", _MOTION, "gyro bias", "accel bias", "imu silent"),
    _after("link outage", _MOTION | {"CON-POS-3"}, "all topics silent"),
    _after("clock jump", _MOTION, "clock ahead", "clock behind"),
    _after(POOR, _PLACE | _HEIGHT | {"CON-BAR-2"}, "gnss poor"),
    _own("barometer fault", "CON-BAR-2"),
)


def diagnose(requirement: str, own: Collection[str], recent: Collection[str]) -> str:
    """Return the probable cause of a failed check; ``own`` and ``recent`` are symptoms."""
    if requirement in ("CON-ACT-1", "CON-ATT-3"):
        # a rotor carries its number in the symptom, which no table of words can hold
        rotors = [s for s in (*own, *recent) if s.startswith(_PREFIX_ROTOR)]
        if rotors:
            return f"motor fault ({rotors[0]})"
    for rule in RULES:
        if requirement not in rule.requirements:
            continue
        if rule.own and not any(symptom in rule.own for symptom in own):
            continue
        if rule.recent and not any(symptom in rule.recent for symptom in recent):
            continue
        return rule.cause
    return UNKNOWN
