"""A trained model as files: loaded, asked, packaged for MLflow."""
