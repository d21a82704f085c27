"""The dry run: ingest and metric as the platform runs them, on the contributor's machine. Nothing is uploaded."""
