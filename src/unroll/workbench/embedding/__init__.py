"""What the vectors that a network learned, or those of a file, say of words and characters."""
