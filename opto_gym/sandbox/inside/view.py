"""A candidate's view of the file system: the standard library, allowed packages, shared libraries, a scratch folder.

At L3 the namespace has no other files; at L2 the scratch folder is missing, and Landlock refuses to open other files.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import kernel

# The scratch folder of L3. Each process mounts its own on it, so Landlock's rule has to name the parent.
SCRATCH = "/tmp/scratch"
SCRATCH_BYTES, SCRATCH_FILES = 16 << 20, 256
DEVICES = ("/dev/null", "/dev/urandom")
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
_OF_LIBRARIES = ("*.so", "*.so.*", "*-linux-*")  # the shared libraries of a folder, and its folder for an architecture


class Readable:
    """What a candidate may read: nothing else of the machine.

    Args:
        packages: The folders of the packages that candidates may import, and of their shared libraries.

    Attributes:
        whole: Files, and folders with all that is in them.
        libraries: Folders of which only the shared libraries may be read.
        standard: The folders of the standard library, which may be read but for the packages that are installed there.
    """

    def __init__(self, packages: Sequence[str]) -> None:
        prefixes = dict.fromkeys((sys.base_prefix, sys.base_exec_prefix))
        self.whole = _existing([*packages, "/etc/ld.so.cache", "/usr/share/zoneinfo", *DEVICES])
        self.standard = [path for path in _existing(sys.path) if os.path.isdir(path)]
        self.libraries = _existing(
            [
                *(os.path.join(prefix, "lib") for prefix in prefixes),
                *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"),
            ]
        )

    @property
    def shown(self) -> list[str]:
        """The files and folders that are mounted at L3, with symbolic links unresolved."""
        return [*self.whole, *self.standard, *self.libraries]

    def hidden(self) -> list[str]:
        """The folders of installed packages below the folders that are shown, as real paths."""
        patterns = [os.path.join(path, name) for path in self.standard for name in _PACKAGE_FOLDERS]
        patterns += [os.path.join(path, "python*", name) for path in self.libraries for name in _PACKAGE_FOLDERS]
        return sorted({os.path.realpath(path) for pattern in patterns for path in glob.glob(pattern)})

    def rules(self) -> list[str]:
        """The files and folders that Landlock lets a candidate read, with all that is in them, as real paths."""
        allowed = list(self.whole)
        for path in self.standard:
            allowed += [os.path.join(path, name) for name in os.listdir(path) if name not in _PACKAGE_FOLDERS]
        for path in self.libraries:
            names = os.listdir(path)
            allowed += [os.path.join(path, n) for n in names if any(fnmatch.fnmatch(n, p) for p in _OF_LIBRARIES)]
        return sorted(set(map(os.path.realpath, allowed)))


def _existing(paths: Sequence[str]) -> list[str]:
    return [path for path in dict.fromkeys(paths) if os.path.exists(path)]


class View:
    """The mounts that a candidate's root will show.

    They are opened here, since a process that has dropped its user may not be able to reach their paths any more.

    Args:
        readable: What to show.

    Raises:
        OSError: If the kernel has no ``open_tree(2)``, or refuses it.
    """

    def __init__(self, readable: Readable) -> None:
        self.links: dict[str, str] = {}
        for path in readable.shown:
            self._collect_links(path)
        hidden = set(readable.hidden())
        self.trees: dict[str, int | None] = {}  # by path, the outer ones first; None for a folder that is shown empty
        self.is_folder: dict[str, bool] = {}
        for path in sorted({*map(os.path.realpath, readable.shown), *hidden}):
            above = [outer for outer in self.trees if path.startswith(outer + os.sep)]
            in_shown = bool(above) and self.trees[above[-1]] is not None
            if path in hidden and in_shown:
                self.trees[path] = None
            elif path not in hidden and not in_shown:
                device = 0 if path in DEVICES else kernel.NODEV
                self.trees[path] = kernel.open_tree(path, kernel.RDONLY | kernel.NOSUID | device)
                self.is_folder[path] = os.path.isdir(path)

    def _collect_links(self, path: str) -> None:
        """Adds the symbolic links along a path to `links`."""
        prefix = "/"
        for part in Path(path).parts[1:]:
            prefix = os.path.join(prefix, part)
            if os.path.islink(prefix):
                if prefix not in self.links:
                    self.links[prefix] = os.readlink(prefix)
                    self._collect_links(os.path.join(os.path.dirname(prefix), self.links[prefix]))
                prefix = os.path.realpath(prefix)

    def enter(self) -> None:
        """Makes a root of the mounts and an empty scratch folder, and enters it. Raises OSError."""
        kernel.mount(None, "/", kernel.MS_REC | kernel.MS_PRIVATE)
        root = "/tmp"
        flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
        kernel.mount("tmpfs", root, flags, "size=256k,mode=755")
        for path, tree in self.trees.items():
            target = Path(root + path)
            if tree is None:
                kernel.mount("tmpfs", str(target), flags, "size=64k,mode=755")
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.mkdir(exist_ok=True) if self.is_folder[path] else target.touch()
            kernel.move_mount(tree, str(target))
            os.close(tree)
        for path, destination in self.links.items():
            link = Path(root + path)
            if not link.is_symlink():  # it may lie in one of the mounted folders
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(destination)
        Path(root + SCRATCH).mkdir(parents=True, exist_ok=True)
        kernel.pivot_root(root)
        kernel.set_mount(0, "/", kernel.RDONLY)


def scratch() -> None:
    """Mounts a scratch folder of limited size for this process alone and changes to it. Raises OSError."""
    kernel.unshare(kernel.CLONE_NEWNS)
    options = f"size={SCRATCH_BYTES},nr_inodes={SCRATCH_FILES},mode=700"
    kernel.mount("tmpfs", SCRATCH, kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC, options)
    os.chdir(SCRATCH)
