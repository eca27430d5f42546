"""Trials as Ray Tune's, on a cluster or here."""
