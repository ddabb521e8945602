"""What is learnt from pixels: ridge regressions from coarse to fine on block statistics, and ferns."""
