"""Makes the system kill others first when memory runs out."""

STOPPED_AT = "L1"
THROUGH_AT = None


def attack(t):
    with open("/proc/self/oom_score_adj", "w") as f:
        f.write("-1000")
    return True
