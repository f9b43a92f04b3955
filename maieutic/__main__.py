"""`python -m maieutic` is the `maieutic` command."""

from maieutic.cli import main

main()
