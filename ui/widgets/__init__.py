"""The parts of the dock, one idea a file."""
