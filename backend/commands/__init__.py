"""Commands of the shell that run a request: options, tables and what is printed (`cli` starts them)."""
