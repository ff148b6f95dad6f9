"""A task carried through all stages: DVC chains side by side, the check of all parameters, the table of results."""
