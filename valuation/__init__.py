"""Does a big, uncertain deal pay off, and what moved that answer?

Importing this package defines names only; models, notebooks and plots load when they are used.
"""

__version__ = "0.1.0"
