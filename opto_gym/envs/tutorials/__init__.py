"""The tasks of the Trace library's tutorials, reimplemented."""

from typing import TYPE_CHECKING

from ...utils.moved import moved_names

if not TYPE_CHECKING:  # for one release
    __getattr__ = moved_names(
        __name__,
        {
            "BatchRegression": "envs.tutorials.batch_regression",
            "Customer": "envs.tutorials.greeting",
            "Greeting": "envs.tutorials.greeting",
            "LANGUAGE": "envs.tutorials.greeting",
            "NAME": "envs.tutorials.greeting",
            "PHRASES": "envs.tutorials.greeting",
            "SORT": "envs.tutorials.strange_sort",
            "START_LANGUAGE": "envs.tutorials.greeting",
            "START_NAME": "envs.tutorials.greeting",
            "START_SORT": "envs.tutorials.strange_sort",
            "StrangeSortList": "envs.tutorials.strange_sort",
            "TEST_NAMES": "envs.tutorials.greeting",
            "TRAIN_NAMES": "envs.tutorials.greeting",
            "WORDS": "envs.tutorials.greeting",
            "customers": "envs.tutorials.greeting",
            "number_lists": "envs.tutorials.strange_sort",
            "strange": "envs.tutorials.strange_sort",
        },
    )
