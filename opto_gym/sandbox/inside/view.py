"""What a candidate sees of the file system: the interpreter and its libraries, to read, and a folder to scratch in.

Where the machine allows namespaces there is nothing else; a level below, Landlock refuses to open anything else.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from . import kernel

SCRATCH = (
    "/tmp/scratch"  # where there is one; Landlock's rule names its parent, the mount on it being each program's own
)
SCRATCH_BYTES, SCRATCH_FILES = 16 << 20, 256
DEVICES = ("/dev/null", "/dev/urandom")


def folders() -> list[str]:
    """Absolute paths, symbolic links unresolved, of all that a candidate may read; only those that exist."""
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
    """The same as Landlock's rules: each path with whether files may be read, or a folder's names only.

    Of installed packages opto_gym is left out: it carries data that scores are made of.
    """
    packages = {os.path.realpath(place) for place in sys.path if os.path.isdir(place)}
    made: dict[str, bool] = {}
    for path in wanted:
        _grant(os.path.realpath(path), packages, made)
    return list(made.items())


def _grant(path: str, packages: set[str], made: dict[str, bool]) -> None:
    inside = {place for place in packages if place == path or place.startswith(path + os.sep)}
    made[path] = not inside
    for entry in os.listdir(path) if inside else ():
        if not (path in packages and entry.lower().replace("-", "_").lstrip("_").startswith("opto_gym")):
            _grant(os.path.join(path, entry), inside, made)


class View:
    """What is to be shown, held open: who has dropped the user may not find the way there any more.

    Raises:
        OSError: If the machine knows no mounts that can be handed on.
    """

    def __init__(self, wanted: list[str]) -> None:
        self.links: dict[str, str] = {}
        for path in wanted:
            self._follow(path)
        self.trees: dict[str, int] = {}
        self.is_folder: dict[str, bool] = {}
        for path in sorted(set(map(os.path.realpath, wanted))):
            if not any(path.startswith(above + os.sep) for above in self.trees):
                device = 0 if path in DEVICES else kernel.NODEV
                self.trees[path] = kernel.open_tree(path, kernel.RDONLY | kernel.NOSUID | device)
                self.is_folder[path] = os.path.isdir(path)

    def _follow(self, path: str) -> None:
        """Notes the symbolic links that a path goes through."""
        done = "/"
        for part in Path(path).parts[1:]:
            done = os.path.join(done, part)
            if os.path.islink(done):
                if done not in self.links:
                    self.links[done] = os.readlink(done)
                    self._follow(os.path.join(os.path.dirname(done), self.links[done]))
                done = os.path.realpath(done)

    def enter(self) -> None:
        """Makes a root of all this and an empty folder for scratch, and enters it. Raises OSError."""
        kernel.mount(None, "/", kernel.MS_REC | kernel.MS_PRIVATE)
        root = "/tmp"
        kernel.mount("tmpfs", root, kernel.MS_NOSUID | kernel.MS_NODEV, "size=256k,mode=755")
        for path, tree in self.trees.items():
            place = Path(root + path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir(exist_ok=True) if self.is_folder[path] else place.touch()
            kernel.move_mount(tree, str(place))
            os.close(tree)
        for path, target in self.links.items():
            place = Path(root + path)
            if not place.is_symlink():  # it may lie in one of the folders above
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(target)
        Path(root + SCRATCH).mkdir(parents=True, exist_ok=True)
        kernel.pivot_root(root)
        kernel.set_mount(0, "/", kernel.RDONLY)


def scratch() -> None:
    """A folder of limited size for this process alone, which goes when it ends; makes it the current one."""
    kernel.unshare(kernel.CLONE_NEWNS)
    options = f"size={SCRATCH_BYTES},nr_inodes={SCRATCH_FILES},mode=700"
    kernel.mount("tmpfs", SCRATCH, kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC, options)
    os.chdir(SCRATCH)
