"""Scenes as files: pixels on grids, read and written; its folders hold masks, products and scenes."""
