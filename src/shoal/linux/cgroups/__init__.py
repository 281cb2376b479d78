"""Control groups of both versions: `detect()` tells the layout, which makes the groups. cgroups(7).

Used by the supervisor and by shoald; light enough for both.
"""

from __future__ import annotations

from shoal.linux.cgroups.cgroup import Cgroup
from shoal.linux.cgroups.layout import Layout, detect

__all__ = ["Cgroup", "Layout", "detect"]
