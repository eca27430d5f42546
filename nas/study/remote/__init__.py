"""Runs at URLs, and their working copies here."""
