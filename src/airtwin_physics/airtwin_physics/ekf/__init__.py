# SPDX-License-Identifier: Apache-2.0
"""The error-state Kalman filter: kernels, measurement models, gates."""
