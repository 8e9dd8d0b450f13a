"""Robot control in Meta-World's MuJoCo simulator."""

from typing import TYPE_CHECKING

from ...utils.moved import moved_names
from .environment import MetaWorld

__all__ = ["MetaWorld"]


if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "ABSOLUTE": "envs.metaworld.environment",
            "CLOSED": "envs.metaworld.environment",
            "Episode": "envs.metaworld.environment",
            "LARGEST": "envs.metaworld.environment",
            "RELATIVE": "envs.metaworld.environment",
            "START": "envs.metaworld.environment",
            "STEP": "envs.metaworld.environment",
        },
    )
