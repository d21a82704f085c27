"""Use cases of rounds, from a dataset that joins to a version that is published and scored."""
