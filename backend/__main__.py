"""`python -m terramend.backend`: the same as the console script `terramend`."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
