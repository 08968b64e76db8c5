"""Durable background work: the serving side submits jobs, a worker process of its own runs them."""
