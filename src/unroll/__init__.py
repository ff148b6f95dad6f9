"""Unroll: sequence data through a reproducible pipeline that keeps the best recurrent model in use."""
