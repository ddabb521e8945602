"""Training of networks: one loop, checkpoints without pickle, one recipe a network.

The plugin works without this folder; it needs the full environment (torch).
"""
