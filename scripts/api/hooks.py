"""What schemathesis does not know of JSON lines: how they are written and read, and that each is refused by itself."""

import json

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection

LINES = "application/x-ndjson"


@schemathesis.serializer(LINES)
def write_lines(ctx: schemathesis.SerializationContext, value: object) -> bytes:
    """One line of JSON."""
    return json.dumps(value).encode() + b"\n"


@schemathesis.deserializer(LINES)
def read_lines(ctx: schemathesis.DeserializationContext, response: schemathesis.Response) -> object:
    """The last line: one line is sent, so it is the only one."""
    return json.loads(response.content.splitlines()[-1])


@schemathesis.check
def data_that_is_not_valid_is_refused(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> bool | None:
    """The check `negative_data_rejection`, with the errors of lines.

    The status of a stream of lines says nothing about them: a line that is not valid is answered by a line with an
    error, and the stream continues. Lines of a job are answered later; tests/it/jobs.rs compares the answers.
    """
    if case.media_type == LINES and response.status_code == 202:
        return None
    if case.media_type == LINES and response.status_code == 200:
        answers = [json.loads(line) for line in response.content.splitlines()]
        if answers and all("error" in answer for answer in answers):
            return None
    return negative_data_rejection(ctx, response, case)
