"""Published data sets, in their authors' formats. The package contains only a small sample of each.

They are read from the folder that ``OPTO_GYM_DATA`` names, else from the user's cache folder (`opto-gym data path`):

::

    bbh/<task>.json                  {"examples": [{"input": ..., "target": ...}, ...]}, 27 tasks
    gsm8k/train.jsonl, test.jsonl    {"question": ..., "answer": "... #### 18"} a line
    mmlu/<subject>_test.csv          question, four options, the right one's letter; no header

`fetch` downloads the published files and checks their SHA-256. Files that a user puts there are accepted if they have
the form and the number of examples of the published ones. A trial records the SHA-256 of each file that it reads.
"""

from .catalogue import SETS, DataSet, File
from .fetching import fetch
from .readers import Example
from .store import SAMPLE, listing, load, root, state

__all__ = ["SAMPLE", "SETS", "DataSet", "Example", "File", "fetch", "listing", "load", "root", "state"]
