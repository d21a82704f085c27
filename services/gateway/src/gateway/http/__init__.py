"""Requests and answers, whatever they are about: JSON, problems, files, ranges, ETags, headers."""
