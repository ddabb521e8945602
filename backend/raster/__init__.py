"""Scenes as files: grids, products, gap masks, tiles, writer."""
