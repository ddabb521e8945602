"""Terramend in the Processing toolbox, one algorithm a file."""
