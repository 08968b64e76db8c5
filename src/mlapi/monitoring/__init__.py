"""What the service tells about itself: metrics, and whether its input still looks like the training data."""

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable in which Prometheus's library looks for the directory that several processes count in."""
