# SPDX-License-Identifier: Apache-2.0
"""Do aircraft and twin still agree, and if not: since when, on what, and why?"""
