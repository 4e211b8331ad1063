"""The version of the formulas."""

from __future__ import annotations

ANALYSIS_VERSION = "2.1"
"""Raised with every change of a formula, a threshold or a tile size: each of them may change bytes."""
