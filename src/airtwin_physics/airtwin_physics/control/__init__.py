# SPDX-License-Identifier: Apache-2.0
"""PX4's control laws, written anew, with PX4's default gains: they fly the virtual aircraft."""
