"""Published versions of the model, and trying them."""
