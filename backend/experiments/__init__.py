"""One experiment a paper: thin, over training and evaluation; the plugin works without this folder."""
