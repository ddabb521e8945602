"""Diffusion Enhancement: a diffusion model and a reference, weighed against each other at every step."""
