"""A name that models registered by version 0.1 import: the script beside such a model does so where it is loaded.

The errors stand in ``core.errors``; nothing here imports this module.
"""

from unroll.core.errors import UnrollError

__all__ = ["UnrollError"]
