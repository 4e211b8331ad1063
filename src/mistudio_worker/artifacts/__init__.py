"""What the trainer wrote, read safely: three files become a TrainingRun."""
