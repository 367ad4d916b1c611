"""The parts of the measurements that need no model."""

import asyncio
import itertools
import json
from xml.etree import ElementTree

import pytest

from scripts.bench import load, plot, server, swap, texts


def test_percentiles_lie_within_the_latencies() -> None:
    measured = load.Load(2.0, [0.003, 0.001, 0.002], {200: 3, 503: 1}, [])
    assert [measured.percentile_ms(share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 2, 3, 3]
    assert measured.per_second() == 1.5
    assert load.Load(1.0).percentile_ms(0.5) == 0


def test_only_answered_requests_have_a_latency() -> None:
    measured = load.Load()
    measured.record(200, 0.5, {"a": 1})
    measured.record(503, 0.1, {})
    assert measured.statuses == {200: 1, 503: 1}
    assert measured.latencies == [0.5]
    assert measured.answers == [{"a": 1}]


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that returns the text of each request."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = json.dumps({"text": json.loads(await reader.readexactly(length))["text"]}).encode()
        writer.write(f"HTTP/1.1 200 OK\r\nX-Kind: echo\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        if reader.at_eof():
            break


def test_clients_that_share_texts_send_each_once() -> None:
    async def measure() -> load.Load:
        listener = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        shared = iter([f"Größe {number}" for number in range(50)])
        return await load.run_clients(port, [shared] * 4)

    measured = asyncio.run(measure())
    assert sorted(one["text"] for one in measured.answers) == sorted(f"Größe {number}" for number in range(50))
    assert measured.statuses == {200: 50}
    assert measured.seconds > 0


def test_texts_repeat_until_the_work_is_done() -> None:
    async def first_ten() -> list[str]:
        task = asyncio.create_task(asyncio.sleep(0))
        sent = swap._until_done(task, ["a", "b", "c"])
        before = list(itertools.islice(sent, 10))
        await task
        return [*before, *sent]

    assert "".join(asyncio.run(first_ten())) == "abcabcabca"


def test_memory_is_read_by_its_exact_name() -> None:
    status = "Name:\tressort\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\nRssAnon:\t  120 kB\n"
    assert server.parse_status_bytes(status, "VmRSS") == 200 * 1024
    assert server.parse_status_bytes(status, "RssAnon") == 120 * 1024
    with pytest.raises(SystemExit, match="RssFile"):
        server.parse_status_bytes(status, "RssFile")


def test_a_plot_is_valid_xml_whatever_the_names() -> None:
    root = ElementTree.fromstring(plot.bars("a < b & c", [("<first>", 2.0), ("second", 1.0)]))
    assert len(root.findall("{http://www.w3.org/2000/svg}rect")) == 2


def test_texts_are_different_reproducible_and_of_the_asked_length() -> None:
    made = texts.make_texts(400, 75.0, 1)
    assert made == texts.make_texts(400, 75.0, 1)
    assert len(set(made)) == 400
    mean = sum(len(text.split()) for text in made) / 400
    assert mean == pytest.approx(75, rel=0.2)
