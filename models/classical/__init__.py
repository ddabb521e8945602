"""Reconstructors without learning."""
