"""Datasets and versions of the model in the formats of others: citations, RO-Crate, DataCite."""
