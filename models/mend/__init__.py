"""`mend`: a small learned correction of `guided`, with its own uncertainty."""
