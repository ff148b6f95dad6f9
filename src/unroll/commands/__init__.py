"""Commands of ``unroll`` by what they are for, one module each; ``cli`` puts them together."""
