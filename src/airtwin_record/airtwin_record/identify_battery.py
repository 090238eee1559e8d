# SPDX-License-Identifier: Apache-2.0
"""The battery out of several flights: resistance and capacity, or the whole pack."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from airtwin_core.aircraft import BatteryCoefficients
from airtwin_core.types import Parameter
from airtwin_physics.battery import BatteryConfig, Drain, learn
from airtwin_physics.identify.aircraft_text import Change


def together(
    flights: Sequence[tuple[Parameter, ...]], config: BatteryConfig | None = None
) -> tuple[Parameter, ...]:
    """Return resistance and capacity as all flights tell them.

    Each flight began with the same belief, which must count once: what it added, in inverse
    variance of the logarithm, is summed. A flight that ended with less than it began with (the
    resistance walks) adds nothing. The packs are taken for alike. Known is what at least one
    flight tells by itself.
    """
    config = config or BatteryConfig()
    shares = {
        "battery_resistance": config.resistance_share,
        "battery_capacity": config.capacity_share,
    }
    told = [flight for flight in flights if flight]
    if not told:
        return ()
    return tuple(
        _one([p for flight in told for p in flight if p.name == name], share)
        for name, share in shares.items()
    )


def learnt(
    drains: Sequence[Drain | None], coefficients: BatteryCoefficients
) -> tuple[Change, ...]:
    """Return what the pack's discharges say of the file; nothing if none went deep enough.

    The discharges are taken to be of one pack, or of packs that are alike.
    """
    there = [drain for drain in drains if drain is not None]
    pack = learn(there, coefficients, BatteryConfig())
    if pack is None:
        return ()
    source = f"fitted to {len(there)} discharge{'s' * (len(there) > 1)}, one at least to empty"
    chart = ", ".join(f"{volts:.4f}" for volts in pack.ocv_cell_v)
    numbers = ("capacity_ah", "resistance_ohm", "polarisation_ohm", "polarisation_s")
    return (
        *(Change(f"battery.{n}", f"{getattr(pack, n):.5g}", source) for n in numbers),
        Change("battery.ocv_cell_v", f"[{chart}]", source),
        Change("battery.learned_discharges", str(len(there)), source),
    )


def _one(found: list[Parameter], share: float) -> Parameter:
    best = min(found, key=lambda p: p.sigma / p.value)
    weight, total = 1.0 / share**2, 0.0
    for p in found:
        added = (p.value / p.sigma) ** 2 - 1.0 / share**2
        if added <= 0.0:
            continue
        weight += added
        # posterior mean = added information times what it says, over all information
        total += math.log(p.value / p.prior) * (p.value / p.sigma) ** 2
    value = best.prior * math.exp(total / weight)
    known = any(p.known for p in found)
    return replace(
        best,
        value=value,
        sigma=value / math.sqrt(weight),
        known=known,
        why="" if known else best.why,
    )
