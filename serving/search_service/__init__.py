"""A reference search service: candidates from an engine, ordered by a ranker within a deadline."""
