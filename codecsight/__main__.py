"""`python -m codecsight`."""

from codecsight.cli import main

main()
