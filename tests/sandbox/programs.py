"""One call of a function with a given body."""

LIMIT = 0.5  # seconds a call


def run(box, body, *args):
    return box.call("def f(*x):\n    " + body.replace("\n", "\n    "), "f", list(args))
