"""The feature inventory: what the source documents ask for, row by row, and the tests that show it.

`python -m tests.inventory` prints the table row -> test -> result.
"""
