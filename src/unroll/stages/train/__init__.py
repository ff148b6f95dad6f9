"""Fit a model on the prepared arrays."""
