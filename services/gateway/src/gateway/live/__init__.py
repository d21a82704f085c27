"""From events to read tables to the pages that are open."""
