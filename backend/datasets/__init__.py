"""Readers of data sets on disk, one a file."""
