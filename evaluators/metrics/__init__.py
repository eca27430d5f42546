"""Metrics: pure functions, each checked against a reference in the tests."""
