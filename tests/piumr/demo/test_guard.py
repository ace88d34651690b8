"""Who may talk to the server: requests of other sites and names that were rebound are refused."""

import pytest

from piumr.demo.guard import is_loopback, is_own_host


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:8000", True),
        ("127.0.0.1", True),
        ("LOCALHOST:8000", True),
        ("[::1]:8000", True),
        ("::1", False),  # not how it is written in a header
        ("192.168.1.7:80", True),
        ("evil.example", False),
        ("evil.example:8000", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:8000", False),
        ("localhost:8000@evil.example", False),
        ("2130706433", False),
        ("0x7f.1", False),
        ("", False),
        (":8000", False),
        ("[::1", False),
    ],
)
def test_only_addresses_and_own_names_are_hosts(host, own):
    assert is_own_host(host, {"localhost"}) is own


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("pc", False)],
)
def test_loopback_is_told_from_the_rest(host, own):
    assert is_loopback(host) is own


@pytest.mark.parametrize("path", ["/", "/api/model", "/main.js", "/nothing"])
def test_a_rebound_name_gets_nothing(talk, path):
    async def ask(client, _):
        async with client.get(path, headers={"Host": "evil.example"}) as response:
            return response.status, await response.text()

    status, text = talk(ask)
    assert status == 403
    assert "own address only" in text


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "https://127.0.0.1", "http://127.0.0.1:1"])
def test_other_sites_can_start_nothing(talk, origin):
    headers = {} if origin is None else {"Origin": origin}

    async def ask(client, _):
        async with client.post("/api/video", data=b"x", headers=headers) as response:
            posted = response.status
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        upgrade |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        async with client.get("/api/live", headers=headers | upgrade) as response:
            return posted, response.status

    assert talk(ask) == (403, 403)


@pytest.mark.parametrize("path", ["/", "/main.js", "/style.css", "/api/model", "/nothing"])
def test_every_answer_forbids_what_the_page_does_not_need(talk, path):
    async def ask(client, _):
        async with client.get(path) as response:
            return client.make_url("").port, response.headers

    port, headers = talk(ask)
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == f"'self' ws://127.0.0.1:{port}"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers
