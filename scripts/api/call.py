"""Calls a server with the generated Python client, from the folder that holds it, and prints what it finds."""

import os

from ressort_client import AuthenticatedClient
from ressort_client.api.classify import classify
from ressort_client.api.service import is_ready
from ressort_client.models import Answer, Answers, Document, DocumentList, OneText, Problem, ReadyBody

# A server without a key reads none.
client = AuthenticatedClient(base_url=os.environ["RESSORT_SERVER"], token="none")

ready = is_ready.sync(client=client)
assert isinstance(ready, ReadyBody), ready
assert ready.status == "ready", ready

answer = classify.sync(client=client, body=OneText(text="Angela Merkel sprach in Berlin.", top_k=1))
assert isinstance(answer, Answer), answer
assert isinstance(answer.entities, list), answer
assert isinstance(answer.topics, list), answer
assert len(answer.topics) == 1, answer
print([(entity.label, entity.text, entity.score) for entity in answer.entities])

documents = DocumentList(documents=[Document(id="a", text="Berlin"), Document(id=2, text="Köln")])
answers = classify.sync(client=client, body=documents)
assert isinstance(answers, Answers), answers
assert len(answers.results) == 2, answers

problem = classify.sync(client=client, body=OneText(text="Berlin", top_k=0))
assert isinstance(problem, Problem), problem
assert problem.code == "invalid_request", problem
