"""Align-CR: radar guides the removal of cloud, aligned in feature space (Xu et al. 2023)."""
