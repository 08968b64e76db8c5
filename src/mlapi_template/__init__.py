"""The MLAPI Template's command: writes machine-learning services that are served over HTTPS from the first minute."""

__version__ = "0.1.0"
