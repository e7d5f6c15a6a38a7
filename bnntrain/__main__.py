"""``python -m bnntrain``: the command line without its entry point."""

from bnntrain.cli.main import main

if __name__ == "__main__":
    main()
