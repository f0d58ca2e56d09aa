"""The library: pages to find, watch and download archived recordings, with read access to the store alone.

Its server, `tasks.library.server`, needs the extra `library`.
"""

from __future__ import annotations

from tasks.library.settings import LibrarySettings

__all__ = ["LibrarySettings"]
