"""A machine-learning service: train a model, serve it over HTTPS, predict."""

from importlib.metadata import version

from .about import about

__version__ = version(about().slug)
