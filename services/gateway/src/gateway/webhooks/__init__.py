"""Public events, sent to an address of the reader's own."""
