# SPDX-License-Identifier: Apache-2.0
"""One module per kind of sensor: predicted, gated, fused or counted with its cause.

Each class keeps the belief and its own ``Source``s; its fusing methods take (sample, at_s, lag_s):
``at_s`` the time of the belief [s], ``lag_s`` how much older the measurement is [s].
"""
