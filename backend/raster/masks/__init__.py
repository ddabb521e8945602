"""Which pixels are gaps: masks of every kind, areas, and where a raster was observed at all."""
