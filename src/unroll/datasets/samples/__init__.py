"""The embedded samples: one generator a dataset, imported only where a sample is made."""
