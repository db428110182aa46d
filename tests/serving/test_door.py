"""The door: who gets in, how much it takes, how it refuses, and how it ends."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection

import pytest
from stub_engine import StubEngine, open_door

from core.errors import BailiwickError, StateConflict, Unreachable
from core.events import EventBus
from core.model import SearchMode
from core.search.query import Query
from core.serving.calls import EngineCalls, FeedCalls, remote_engine
from core.serving.client import DoorClient, DoorClosed
from core.serving.connection import LARGEST_BODY
from core.serving.door import MOST_CONNECTIONS, Door
from core.serving.event_feed import EventFeed

PATIENCE_SECONDS = 20.0


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        threading.Event().wait(0.01)


def ask(
    door: Door, path: str = "/counts", body: bytes = b"{}", method: str = "POST", **headers: str
) -> tuple[int, dict[str, object]]:
    """One request as somebody else would write it; a header given as "" is left out."""
    connection = HTTPConnection("127.0.0.1", door.port, timeout=PATIENCE_SECONDS)
    everything = {"Host": f"127.0.0.1:{door.port}", "Authorization": f"Bearer {door.token}", **headers}
    everything.setdefault("Content-Length", str(len(body)))
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in everything.items():
        if value:
            connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    connection.send(body)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    assert response.getheader("Server") is None
    assert b"Traceback" not in data
    assert door.token.encode() not in data
    document = json.loads(data)
    assert response.status == 200 or set(document) <= {"error", "hint", "exit_code", "kind", "facts"}
    return response.status, document


def test_calls_are_answered_and_errors_raised_again() -> None:
    with open_door() as (door, engine, _):
        remote = remote_engine(DoorClient(door.port, door.token).call)
        assert remote.counts() == engine.counts()
        query = Query("ketchup", mode=SearchMode.TEXT)
        assert remote.search(query, wait_for_model=True) == engine.search(query, wait_for_model=True)
        assert remote.search(query).path == "text"
        assert engine.asked == [query, query, query]
        remote.record_access("doc")
        assert engine.opened == ["doc"]
        assert remote.rebuilt() == "it was garbage"
        with pytest.raises(StateConflict, match="It has changed") as conflict:
            remote.resume_work()
        assert (conflict.value.hint, conflict.value.facts) == ("Look again.", {"version": 3})
        with pytest.raises(BailiwickError, match="ZeroDivisionError") as fault:
            remote.cancel_work()
        assert fault.value.exit_code == 70
        assert "secret" not in str(fault.value)


def test_only_who_knows_the_token_gets_in() -> None:
    with open_door() as (door, _, __):
        assert ask(door)[0] == 200
        for wrong in ("", "Bearer", "Bearer wrong", f"Bearer {door.token}x", "Bearer ümläut", f"Basic {door.token}"):
            status, document = ask(door, Authorization=wrong)
            assert status == 401
            assert document["error"] == "The token is missing or wrong."
        assert ask(door, path="/nothing", Authorization="")[0] == 401


def test_web_pages_and_foreign_names_are_refused() -> None:
    with open_door() as (door, _, __):
        assert ask(door, Host=f"localhost:{door.port}")[0] == 200
        for host in ("", "127.0.0.1", "evil.example", f"evil.example:{door.port}", f"127.0.0.1:{door.port + 1}"):
            assert ask(door, Host=host)[0] == 403, host
        for origin in ("null", "http://evil.example", f"http://127.0.0.1:{door.port}"):
            assert ask(door, Origin=origin)[0] == 403, origin


def test_two_hosts_are_one_too_many() -> None:
    with open_door() as (door, _, __), socket.create_connection(("127.0.0.1", door.port)) as stream:
        name = f"Host: 127.0.0.1:{door.port}\r\n"
        stream.sendall(f"POST /counts HTTP/1.1\r\n{name}{name}Content-Length: 2\r\n\r\n{{}}".encode())
        assert stream.makefile("rb").readline().split()[1] == b"403"


def test_size_and_form_are_checked() -> None:
    with open_door() as (door, engine, _):
        large = json.dumps({"document_id": "x" * (LARGEST_BODY - 20)}).encode()
        assert len(large) <= LARGEST_BODY
        assert ask(door, "/record_access", large)[0] == 200
        assert ask(door, "/record_access", b" " * (LARGEST_BODY + 1))[0] == 413
        assert ask(door, body=b"", Content_Length=str(10**12))[0] == 413
        for length in ("-1", "two", "1e3", "+2", "9" * 30):
            assert ask(door, body=b"", Content_Length=length)[0] == 400
        assert ask(door, Transfer_Encoding="chunked")[0] == 400
        for body in (b"{", b"nonsense", b"\xff\xfe", b"[" * 100_000, b"[]", b"3", b'{"more": 1}'):
            status, document = ask(door, "/counts", body)
            assert status == 400
            assert str(document["error"]).startswith("The call does not fit: ")
        assert ask(door, "/search", b"{}")[0] == 400
        assert ask(door, "/search", b'{"query": {"text": "x", "limit": "many"}}')[0] == 400
        assert ask(door, "/search", b'{"query": {"text": " "}}')[0] == 422
        assert engine.asked == []


def test_unknown_calls_methods_and_requests_are_refused() -> None:
    with open_door() as (door, _, __):
        for path in ("/nothing", "/", "/__init__", "/token", "/counts?x=1", "http://127.0.0.1/counts", "/../counts"):
            assert ask(door, path)[0] == 404, path
        for method in ("GET", "PUT", "OPTIONS", "BREW"):
            assert ask(door, method=method, body=b"")[0] == 501
        for junk in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"POST /counts HTTP/9.9\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", door.port), PATIENCE_SECONDS) as stream:
                stream.sendall(junk)
                stream.shutdown(socket.SHUT_WR)
                answer = stream.makefile("rb").read()
            assert b"Traceback" not in answer
            assert junk[:4] not in answer
        assert ask(door)[0] == 200


def test_idle_connections_make_room_for_new_ones() -> None:
    with open_door() as (door, _, __):
        idle = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(MOST_CONNECTIONS)]
        until(lambda: len(door._connections) == MOST_CONNECTIONS, "the connections")
        assert ask(door)[0] == 200
        assert len(door._connections) <= MOST_CONNECTIONS
        idle[0].settimeout(PATIENCE_SECONDS)
        assert idle[0].recv(1) == b""
        for stream in idle:
            stream.close()


def test_no_more_than_so_many_calls_run_at_once() -> None:
    with open_door() as (door, engine, _):
        clients = [DoorClient(door.port, door.token) for _ in range(MOST_CONNECTIONS)]
        threads = [threading.Thread(target=client.call, args=("idle", {}), daemon=True) for client in clients]
        for thread in threads:
            thread.start()
        until(lambda: sum(each.busy for each in door._connections) == MOST_CONNECTIONS, "the calls")
        with pytest.raises(DoorClosed):
            DoorClient(door.port, door.token).call("counts", {})
        engine.release.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        assert DoorClient(door.port, door.token).call("counts", {})["documents"] == 1


def test_one_client_serves_many_threads_on_few_connections() -> None:
    with open_door() as (door, _, __):
        client = DoorClient(door.port, door.token)
        remote = remote_engine(client.call)
        answers: list[int] = []

        def many() -> None:
            answers.extend(remote.counts().passages for _ in range(50))

        threads = [threading.Thread(target=many) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        assert answers == [2] * 300
        client.close()
        with pytest.raises(DoorClosed):
            remote.counts()


def test_a_connection_that_was_dropped_meanwhile_is_made_anew() -> None:
    with open_door() as (door, _, __):
        remote = remote_engine(DoorClient(door.port, door.token).call)
        remote.counts()
        for connection in list(door._connections):
            connection.cut()
        until(lambda: not door._connections, "the drop")
        assert remote.counts().passages == 2


def test_nobody_behind_the_door_is_told_as_such() -> None:
    with open_door() as (door, _, __):
        wrong = DoorClient(door.port, "wrong")
        with pytest.raises(DoorClosed):
            wrong.call("counts", {})
        with pytest.raises(Unreachable, match="no such call"):
            DoorClient(door.port, door.token).call("later_call", {})
    with pytest.raises(DoorClosed):
        DoorClient(door.port, door.token).call("counts", {})


def test_closing_lets_calls_end_wakes_who_waits_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    engine, bus = StubEngine(), EventBus()
    feed = EventFeed(bus)
    door = Door((EngineCalls, engine), (FeedCalls, feed))
    answers: list[object] = []
    client = DoorClient(door.port, door.token)
    threads = [
        threading.Thread(target=lambda: answers.append(client.call("idle", {}))),
        threading.Thread(target=lambda: answers.append(client.call("events", {"after": 0})["next"])),
    ]
    for thread in threads:
        thread.start()
    until(lambda: sum(each.busy for each in door._connections) == 2, "the calls")
    engine.release.set()
    feed.close()
    door.close()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert sorted(map(str, answers)) == ["0", "True"]
    until(lambda: set(threading.enumerate()) <= before, "the threads to end")


@pytest.mark.parametrize("module", ["core.serving.door", "core.serving.client", "core.serving.relay"])
def test_both_sides_are_light_to_import(module: str) -> None:
    program = (
        f"import sys, {module};"
        "print(sorted(set(sys.modules) & {'fastapi', 'mcp', 'requests', 'duckdb', 'numpy', 'pyarrow', 'asyncio'}))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
