"""The deepmd edge: load a DPA model, predict, grow it by branches, and write what is released."""
