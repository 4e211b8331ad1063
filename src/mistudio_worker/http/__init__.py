"""Health, readiness and the REST application."""
