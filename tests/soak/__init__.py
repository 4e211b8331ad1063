"""The soak: many jobs through a few workers that are killed, paused and cut off all the while."""
