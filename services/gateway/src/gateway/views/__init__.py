"""What readers get: the JSON of the API, and what pages render."""
