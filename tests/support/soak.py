"""How much the long tests try: the numbers of `make soak`, or those of the suite, which takes an hour at most."""

import os

SOAK = "OPTO_GYM_SOAK" in os.environ
