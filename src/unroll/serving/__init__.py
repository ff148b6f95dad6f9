"""Answers from trained models: over HTTP, from files, as text drawn token by token."""
