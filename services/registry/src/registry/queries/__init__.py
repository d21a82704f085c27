"""contracts.registry.v1: what anyone may ask of versions, branches, lineage, changes."""
