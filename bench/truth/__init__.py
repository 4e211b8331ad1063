"""Planted features of known kinds, and how well the analysis tells them apart."""
