"""What files are: products, dates, sensors, roles of bands, scales, and what lies beside them."""
