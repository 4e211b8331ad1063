"""The fuzzer: events, metadata and checkpoints, damaged at random and by their structure."""
