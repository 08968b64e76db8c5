"""A machine-learning service: train a model, serve it over HTTPS, predict."""

from mlapi.about import about_of

__version__ = about_of(__name__).version
