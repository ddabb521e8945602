"""The sentences of errors and notices, beside `errors` itself. Standard library only: QGIS loads them too."""
