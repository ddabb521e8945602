"""Published cloud removal networks, built from their descriptions: references and rivals."""
