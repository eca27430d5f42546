"""Strategies compared on tables of known results, in memory."""
