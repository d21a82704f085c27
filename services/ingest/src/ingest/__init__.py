"""From an archive that a stranger sent to a canonical dataset."""
