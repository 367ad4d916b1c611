"""Topics and entities of a text, with tritonclient."""

import json
import os

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput

client = InferenceServerClient(os.environ.get("RESSORT_SERVER", "http://127.0.0.1:8080").removeprefix("http://"))
texts = np.array(["👍 Angela Merkel sprach in Berlin über den Haushalt."], dtype=np.object_)
tensor = InferInput("text", texts.shape, "BYTES").set_data_from_numpy(texts)
headers = {"authorization": f"Bearer {os.environ.get('RESSORT_API_KEY', '')}"}
result = client.infer("ressort", [tensor], headers=headers, parameters={"top_k": 2})
for label, score in zip(result.as_numpy("topic_labels")[0], result.as_numpy("topic_scores")[0], strict=True):
    print(f"{label.decode()} {score:.2f}")
for entity in json.loads(result.as_numpy("entities")[0]):
    print(f"{entity['label']} {entity['text']} {entity['start']}-{entity['end']}")
