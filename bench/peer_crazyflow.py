# SPDX-License-Identifier: Apache-2.0
"""Crazyflow on one core: prints {"rollouts_per_s": ..., "batch": ...} as JSON.

Run by bench/physics_rollouts.py in the environment of the peers. First-principles dynamics (rotors
with lag) under its state controller, all loops and the integrator at 100 Hz, compiled and warm.
"""

from __future__ import annotations

import json
import time

import jax
import numpy as np
from crazyflow.control import Control
from crazyflow.sim import Dynamics, Sim

STEPS, WARM = 1000, 1000
BATCHES = (256, 1024, 4096)


def _rate(batch: int) -> float:
    sim = Sim(
        n_worlds=batch,
        dynamics=Dynamics.first_principles,
        control=Control.state,
        freq=100,
        state_freq=100,
        attitude_freq=100,
        body_rate_freq=100,
        force_torque_freq=100,
    )
    sim.reset()
    goal = np.zeros((batch, 1, 16), dtype=np.float32)
    goal[..., 2], goal[..., 12] = 1.0, 1.0
    sim.state_control(goal)
    sim.step(WARM)
    jax.block_until_ready(sim.data.states.pos)
    sim.state_control(goal)
    began = time.process_time()
    sim.step(STEPS)
    jax.block_until_ready(sim.data.states.pos)
    return batch / (time.process_time() - began)


found = {batch: _rate(batch) for batch in BATCHES}
best = max(found, key=lambda batch: found[batch])
print(json.dumps({"rollouts_per_s": found[best], "batch": best}))
