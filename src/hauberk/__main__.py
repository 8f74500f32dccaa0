"""`python -m hauberk`."""

from hauberk.cli.main import main

if __name__ == "__main__":
    main()
