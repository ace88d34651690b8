"""Parts of the benchmark ``person_independence.py``, one idea a file."""
