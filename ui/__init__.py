"""What the analyst sees. The only place, with plugin.py, that imports qgis and Qt."""
