"""Where scoring and training work: in threads of this process, or on a cluster. joblib is the one seam that knows."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from .errors import ClusterUnavailable, ScoringFailed

REACH_SECONDS = 10
"""Seconds in which the cluster's scheduler must answer."""

LIBRARIES = {"concurrent", "distributed"}
"""Whose errors say that the cluster is at fault, not what it was given to do."""


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def learning(cluster_url: str | None) -> AbstractContextManager[object]:
    """Let a training that uses joblib, such as a grid search, work on the cluster, or as it would by itself.

    Raises:
        ScoringFailed: what a cluster needs is not installed.
        ClusterUnavailable: the cluster cannot be reached, or went away.

    """
    return nullcontext() if cluster_url is None else spread(cluster_url)


@contextmanager
def spread(cluster_url: str | None) -> Iterator[int]:
    """Let joblib work where the settings say, and tell how many parts at once.

    Everything in the block that uses joblib goes there, a grid search of scikit-learn as well.

    Raises:
        ScoringFailed: what a cluster needs is not installed.
        ClusterUnavailable: the cluster cannot be reached, or went away.

    """
    from joblib import parallel_config

    if cluster_url is None:
        # The runtime and the reader of files let other threads work meanwhile.
        with parallel_config(backend="threading", n_jobs=cores()):
            yield cores()
        return
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ScoringFailed(
            f"A cluster needs {error.name}, which is not installed here: install the group cluster."
        ) from None
    try:
        client = Client(  # type: ignore[no-untyped-call]
            cluster_url, timeout=REACH_SECONDS, set_as_default=False
        )
    except (OSError, ValueError) as error:
        raise ClusterUnavailable("The scheduler of the cluster cannot be reached.") from error
    try:
        with client, parallel_config(backend="dask", client=client, n_jobs=-1):
            threads = client.nthreads()  # type: ignore[no-untyped-call]
            yield max(sum(threads.values()), 1)
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in LIBRARIES:
            raise
        raise ClusterUnavailable("The cluster went away.") from error
