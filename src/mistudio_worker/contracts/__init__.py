"""The words on the wire: events, manifest and results as pydantic models."""
