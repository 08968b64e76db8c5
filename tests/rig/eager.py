"""Trainings that take their share of a busy machine, for the tests that wait for one.

A training that stands back for everything else gets next to nothing there, and nobody knows when it ends.
"""

from pathlib import Path

from rig.sample import python_path

EAGER_TRAINING = python_path(Path(__file__).parent / "eager_training")
"""Value of PYTHONPATH for a process that trains, or whose children do."""
