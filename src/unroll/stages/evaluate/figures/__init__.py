"""Figures as pictures and tables."""
