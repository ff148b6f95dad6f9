"""``python -m unroll`` is the command ``unroll``."""

from unroll.cli import main

main()
