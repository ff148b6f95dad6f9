"""The parts of ``dataset: files``: its block, what a first look infers, and how cells become a canonical table."""
