"""Bring the raw files here and read them into a table."""
