"""Scoring a file of any size: cut into parts, each scored by itself and anywhere, then put together.

Read in this order: `formats`, `cut`, `read`, `check`, `write`, `part`, `spread`, `footer`, `assemble`, and `run`, which
does all of it.
"""
