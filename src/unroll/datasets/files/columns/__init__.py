"""What the cells of a column mean: numbers, words, times."""
