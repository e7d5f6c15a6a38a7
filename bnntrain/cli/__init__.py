"""The command line: one file per verb, every shared option once, in `options.py`."""
