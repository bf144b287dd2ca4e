"""``python -m fastsum`` is the command ``fastsum``."""

from fastsum.cli import main

if __name__ == "__main__":
    main()
