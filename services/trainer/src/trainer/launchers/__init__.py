"""Ways to start training."""
