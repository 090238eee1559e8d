# SPDX-License-Identifier: Apache-2.0
"""What every command runs before its first node."""

from __future__ import annotations

from airtwin_bringup import kernels


def test_every_kernel_is_warmed() -> None:
    kernels.warm()
