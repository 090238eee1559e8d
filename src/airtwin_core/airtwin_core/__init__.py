# SPDX-License-Identifier: Apache-2.0
"""AirTwin's one vocabulary: values, frames, geodesy, statistics, geometry; numpy, scipy."""
