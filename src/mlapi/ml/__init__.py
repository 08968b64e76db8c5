"""Models: features, hyperparameters, data sets, and how a classifier or a regressor is trained and exported."""
