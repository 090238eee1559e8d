# SPDX-License-Identifier: Apache-2.0
"""The only place where a message field meets an internal type."""
