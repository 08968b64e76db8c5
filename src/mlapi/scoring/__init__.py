"""Scoring a file of any size: cut into parts, each scored by itself and anywhere, then put together.

Read in this order:

- `formats`: the formats of files, and how a name tells one;
- `rows`, `parquet`: where the rows of CSV end, and how Parquet is read;
- `cut`: cuts a file into parts, each of whole rows;
- `read`, `check`, `write`: the rows of a part, which of them are good, and what is written of them;
- `part`: scores one part;
- `footer`, `assemble`: put what came of the parts together in one file;
- `run`: does all of it, in steps that can be repeated;
- `foreground`: does it here and now, for the command line.
"""
