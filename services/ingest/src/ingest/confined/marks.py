"""What is to be done with a frame that was read: one byte, bits added up."""

KEPT, HELD_OUT, KNOWN = 1, 2, 4
