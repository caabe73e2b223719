"""`python -m minillm …` is `minillm …`."""

from minillm.cli import main

if __name__ == "__main__":
    main()
