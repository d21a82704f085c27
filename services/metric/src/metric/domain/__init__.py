"""Pure rules: numpy and contracts, no file, no network, no model."""
