"""The scoring program: a published model on the standard dataset."""
