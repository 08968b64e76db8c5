"""Training a new version, in this process or in one of its own; it knows nothing of jobs.

Read in this order:

- `child`: runs work in a process of its own, which can be ended at any moment;
- `candidate`: makes a candidate, wherever that is asked for;
- `publication`: makes a version of it, and promotes it if the policy says so;
- `tracking`: records a version with MLflow;
- `foreground`: does all of it here and now, for the command line;
- `pipeline`: does it in stages, for DVC.
"""
