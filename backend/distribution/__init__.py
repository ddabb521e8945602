"""Rows of a batch on Dask. The only place that imports dask."""
