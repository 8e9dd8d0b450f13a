"""Imports a module of opto_gym."""

import importlib.util
import os

STOPPED_AT = "L2"
THROUGH_AT = "L1"


def attack(t):
    path = os.path.join(t["package"], "errors.py")  # it imports nothing, so that nothing else can stop it
    spec = importlib.util.spec_from_file_location("errors", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return hasattr(module, "OptoGymError")
