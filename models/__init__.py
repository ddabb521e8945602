"""How gaps are predicted: arrays in, arrays out. Imports neither backend nor ui."""
