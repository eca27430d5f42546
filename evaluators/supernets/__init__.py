"""Supernets: all candidates of a space trained as one."""
