"""Topics and entities of a text, with huggingface_hub."""

import os

from huggingface_hub import InferenceClient

model = os.environ.get("RESSORT_SERVER", "http://127.0.0.1:8080") + "/models/ressort/pipeline/"
client = InferenceClient(token=os.environ.get("RESSORT_API_KEY"))
text = "👍 Angela Merkel sprach in Berlin über den Haushalt."
for topic in client.text_classification(text, model=model + "text-classification", top_k=2):
    print(f"{topic.label} {topic.score:.2f}")
for entity in client.token_classification(text, model=model + "token-classification"):
    print(f"{entity.entity_group} {text[entity.start : entity.end]} {entity.start}-{entity.end}")
