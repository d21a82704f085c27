"""The training program: one process, one attempt at a round. Only here does the trainer touch deepmd."""
