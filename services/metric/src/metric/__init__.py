"""Is a dataset sound, and is it new? Zero-shot predictions of the current model judge it."""
