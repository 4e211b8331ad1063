"""Compiled loops (numba): no fastmath, no threads, plain arrays in and out."""
