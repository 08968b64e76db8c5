"""Durable background work: the serving side submits jobs, worker processes run them, and no kill loses one.

Read in this order:

- `job`: what a job is;
- `store`: the side that submits, looks up, lists and cancels, with `page` for long lists and `clock` for old SQLite;
- `train`, `batch`: the two jobs, to train and to score a file, each a few steps that can be repeated;
- `claim`: a worker's hold on the job that it runs, and `patience` with what is away;
- `worker`: the process that runs them, under a name that `lease` keeps for it;
- `schedule`, `expiry`: what a worker sees to beside them.
"""
