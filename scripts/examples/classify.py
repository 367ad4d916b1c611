"""Topics and entities of a text, with Python's standard library."""

import json
import os
from urllib.request import Request, urlopen

server = os.environ.get("RESSORT_SERVER", "http://127.0.0.1:8080")
headers = {"content-type": "application/json", "authorization": f"Bearer {os.environ.get('RESSORT_API_KEY', '')}"}
body = json.dumps({"text": "👍 Angela Merkel sprach in Berlin über den Haushalt.", "top_k": 2}).encode()
with urlopen(Request(f"{server}/v1/classify", body, headers)) as response:
    answer = json.load(response)
for topic in answer["topics"]:
    print(f"{topic['label']} {topic['score']:.2f}")
for entity in answer["entities"]:
    print(f"{entity['label']} {entity['text']} {entity['start']}-{entity['end']}")
