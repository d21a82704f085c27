"""Datasets from draft to withdrawal: publishing, reading, what is said of where one stands."""
