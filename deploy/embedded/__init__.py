"""Apache Kafka and an S3 server on this machine, started for a demo or a test run and gone after it."""
