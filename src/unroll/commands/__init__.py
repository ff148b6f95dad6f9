"""Groups of commands of ``unroll``, one module each."""
