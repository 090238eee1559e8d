# SPDX-License-Identifier: Apache-2.0
"""RotorPy's batched simulator on one core: prints {"rollouts_per_s": ..., "batch": ...} as JSON.

Run by bench/physics_rollouts.py in the environment of the peers. BatchedMultirotor with its
BatchedSE3Control and aerodynamics, RK4 at 100 Hz, hovering; a batch is measured over one second of
flight after a warm-up, ten of them are a rollout.
"""

from __future__ import annotations

import json
import time

import numpy as np
import torch
from rotorpy.controllers.quadrotor_control import BatchedSE3Control
from rotorpy.vehicles.crazyflie_params import quad_params
from rotorpy.vehicles.multirotor import BatchedMultirotor, BatchedMultirotorParams

DT_S, STEPS, WARM = 0.01, 100, 5
BATCHES = (256, 1024, 4096)


def _rate(batch: int) -> float:
    device = torch.device("cpu")
    params = BatchedMultirotorParams([quad_params] * batch, batch, device)

    def rows(*values: float) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64).repeat(batch, 1)

    state = {
        "x": rows(0, 0, 0) + 0.1 * torch.randn(batch, 3, dtype=torch.float64),
        "v": rows(0, 0, 0),
        "q": rows(0, 0, 0, 1),
        "w": rows(0, 0, 0),
        "wind": rows(0, 0, 0),
        "rotor_speeds": rows(1788.5, 1788.5, 1788.5, 1788.5),
    }
    vehicle = BatchedMultirotor(params, batch, state, device, integrator="rk4")
    controller = BatchedSE3Control(params, batch, device)
    names = ("x", "x_dot", "x_ddot", "x_dddot", "x_ddddot")
    goal = {name: rows(0, 0, 0) for name in names}
    goal |= {name: rows(0)[:, 0] for name in ("yaw", "yaw_dot", "yaw_ddot")}
    everyone = np.arange(batch)
    began = 0.0
    for i in range(WARM + STEPS):
        if i == WARM:
            began = time.process_time()
        control = controller.update(i * DT_S, state, goal, everyone)
        state = vehicle.step(state, control, DT_S, everyone)
    if not bool(torch.isfinite(state["x"]).all()):
        raise SystemExit("RotorPy's states are not finite")
    seconds = time.process_time() - began
    return batch / (seconds * 10.0 / (STEPS * DT_S))


torch.set_num_threads(1)
torch.manual_seed(1)
with torch.no_grad():
    found = {batch: _rate(batch) for batch in BATCHES}
best = max(found, key=lambda batch: found[batch])
print(json.dumps({"rollouts_per_s": found[best], "batch": best}))
