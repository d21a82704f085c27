"""The front door: accounts, uploads, entries, live progress, pages."""
