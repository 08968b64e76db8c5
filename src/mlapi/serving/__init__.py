"""What answers a prediction: the registry of model versions and the version that serves."""
