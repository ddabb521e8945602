"""How a fill runs: from a request to inputs, a method, its tiles, and samples to write."""
