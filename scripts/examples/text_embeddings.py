"""Topics of two texts, with tei-client."""

import os

from tei_client import HttpClient

headers = {"authorization": f"Bearer {os.environ.get('RESSORT_API_KEY', '')}"}
client = HttpClient(os.environ.get("RESSORT_SERVER", "http://127.0.0.1:8080"), headers=headers)
print(client.info().server_model_id)
for result in client.classify(["Der FC Bayern hat gewonnen.", "Der Bundestag debattiert über den Haushalt."]):
    best = result.scores[0]
    print(f"{best.label} {best.score:.2f}")
