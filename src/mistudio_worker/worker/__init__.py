"""The life of a job: from an event to its outcome."""
