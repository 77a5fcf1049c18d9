"""wedsync-ops: the platform under WedSync's journey modules."""

__version__ = "0.1.0"
