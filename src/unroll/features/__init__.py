"""Pure functions from tables to arrays: windows, scaling, vocabularies. No torch."""
