"""How good a reconstruction is: cases, metrics, peers, report."""
