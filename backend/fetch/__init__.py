"""Preparing training data: from Google Earth Engine, or from scenes that one has."""
