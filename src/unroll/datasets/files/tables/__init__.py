"""Chunks of rows to parts of a canonical table."""
