#!/bin/sh
# trace-opt with its optimizers in an environment of its own, beside which ours are tested. Without the packages that
# none of them imports (xgboost and scikit-learn, over 1 GB), hence --no-deps.
set -e
[ -e .venv-trace-opt/ready ] && exit 0
"${PYTHON:-python3}" -m venv .venv-trace-opt
pip=".venv-trace-opt/bin/pip install --quiet --disable-pip-version-check"
$pip black==25.12.0 graphviz==0.21 litellm==1.106.2 numpy==2.4.6 openai==2.54.0
$pip --no-deps trace-opt==0.1.3.8
touch .venv-trace-opt/ready
