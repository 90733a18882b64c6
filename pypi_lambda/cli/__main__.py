"""`python -m pypi_lambda.cli`: the command line, wherever its script is."""

from pypi_lambda.cli import main

if __name__ == "__main__":
    main()
