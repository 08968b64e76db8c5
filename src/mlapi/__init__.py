"""The library of services that the MLAPI Template writes.

Its parts move here from the generated package, one by one. Import from `mlapi` itself: what `__all__` lists is public,
everything else is private.
"""

__all__ = ["__version__"]

__version__ = "0.2.0"
"""Version of the library. Before 1.0 the minor version is the major one: projects require `mlapi-engine>=0.2,<0.3`."""
