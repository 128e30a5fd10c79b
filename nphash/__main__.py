"""``python -m nphash`` is the same as the ``nphash`` command."""

from nphash.cli import main

if __name__ == "__main__":
    main()
