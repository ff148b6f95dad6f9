"""What every room stands on: errors, parameters, files, scores, expectations. Knows no library of models."""
