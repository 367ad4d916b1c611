"""Topics of two texts, as from vLLM, with Python's standard library."""

import json
import os
from urllib.request import Request, urlopen

server = os.environ.get("RESSORT_SERVER", "http://127.0.0.1:8080")
headers = {"content-type": "application/json", "authorization": f"Bearer {os.environ.get('RESSORT_API_KEY', '')}"}
texts = ["Der FC Bayern hat gewonnen.", "Der Bundestag debattiert über den Haushalt."]
body = json.dumps({"model": "ressort", "input": texts}).encode()
with urlopen(Request(f"{server}/classify", body, headers)) as response:
    answer = json.load(response)
for text in answer["data"]:
    print(f"{text['label']} {max(text['probs']):.2f}")
