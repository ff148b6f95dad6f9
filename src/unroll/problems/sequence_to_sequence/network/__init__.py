"""Encoder, decoder, what passes between them, and a label for every step."""
