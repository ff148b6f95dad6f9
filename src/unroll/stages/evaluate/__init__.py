"""Judge a trained model on the untouched test part."""
