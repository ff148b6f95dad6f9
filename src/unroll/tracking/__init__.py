"""Runs in MLflow and what ``dvc.lock`` says of outputs."""
