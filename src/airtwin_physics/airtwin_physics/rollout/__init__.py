# SPDX-License-Identifier: Apache-2.0
"""Many futures of one aircraft, thousands a second: ``rollouts.rollout``."""
