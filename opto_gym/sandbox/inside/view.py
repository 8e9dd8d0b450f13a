"""A candidate's view of the file system: the interpreter and its libraries, read-only, and a scratch folder.

At L3 the namespace has no other files; at L2 the scratch folder is missing, and Landlock refuses to open other files.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from . import kernel

# The scratch folder of L3. Each process mounts its own on it, so Landlock's rule has to name the parent.
SCRATCH = "/tmp/scratch"
SCRATCH_BYTES, SCRATCH_FILES = 16 << 20, 256
DEVICES = ("/dev/null", "/dev/urandom")


def folders() -> list[str]:
    """The existing files and folders that a candidate may read: absolute paths, with symbolic links unresolved."""
    paths = sysconfig.get_paths()
    prefixes = dict.fromkeys((sys.base_prefix, sys.base_exec_prefix))
    wanted = [
        *(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *(os.path.join(prefix, "lib") for prefix in prefixes),
        *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/usr/share/zoneinfo"),
        *DEVICES,
    ]
    return [path for path in dict.fromkeys(wanted) if os.path.exists(path)]


def rules(wanted: list[str]) -> list[tuple[str, bool]]:
    """Landlock's rules for paths: (real path, whether files may be read, else only the names in the folder).

    Among installed packages opto_gym is left out, since its data files hold test examples.

    Args:
        wanted: The paths of `folders`.
    """
    package_folders = {os.path.realpath(path) for path in sys.path if os.path.isdir(path)}
    made: dict[str, bool] = {}
    for path in wanted:
        _grant(os.path.realpath(path), package_folders, made)
    return list(made.items())


def _grant(path: str, package_folders: set[str], made: dict[str, bool]) -> None:
    """Adds a rule for a path; where package folders lie in it, one for each of its entries but opto_gym."""
    inside = {folder for folder in package_folders if folder == path or folder.startswith(path + os.sep)}
    made[path] = not inside
    for entry in os.listdir(path) if inside else ():
        if not (path in package_folders and entry.lower().replace("-", "_").lstrip("_").startswith("opto_gym")):
            _grant(os.path.join(path, entry), inside, made)


class View:
    """The mounts that a candidate's root will show.

    They are opened here, since a process that has dropped its user may not be able to reach their paths any more.

    Args:
        wanted: The paths to show.

    Raises:
        OSError: If the kernel has no ``open_tree(2)``, or refuses it.
    """

    def __init__(self, wanted: list[str]) -> None:
        self.links: dict[str, str] = {}
        for path in wanted:
            self._collect_links(path)
        self.trees: dict[str, int] = {}
        self.is_folder: dict[str, bool] = {}
        for path in sorted(set(map(os.path.realpath, wanted))):
            if not any(path.startswith(above + os.sep) for above in self.trees):
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
        kernel.mount("tmpfs", root, kernel.MS_NOSUID | kernel.MS_NODEV, "size=256k,mode=755")
        for path, tree in self.trees.items():
            target = Path(root + path)
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
