"""The program of a recorded trial of the agent ``Program``: x = -9, -8, ... until the budget's end."""

import json
import os
import urllib.error
import urllib.request

http = urllib.request.build_opener(urllib.request.ProxyHandler({}))
headers = {"Authorization": f"Bearer {os.environ['OPTO_GYM_TOKEN']}", "Content-Type": "application/json"}
for x in range(-9, 3):
    body = json.dumps({"parameters": {"x": x}}).encode()
    try:
        http.open(urllib.request.Request(os.environ["OPTO_GYM_URL"] + "/evaluations", body, headers)).read()
    except urllib.error.HTTPError:
        break
