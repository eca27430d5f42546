"""Runs at a URL of fsspec.

urls            URLs of runs, and the local folders of their working copies
store           a folder at a URL: list, read, write
working_copy    the copy of a run here, brought up to date and copied back
"""
