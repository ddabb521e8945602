"""Other dates: which are used, what of them is put right, and what they say by themselves."""
