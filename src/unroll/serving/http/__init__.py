"""``unroll serve``: every champion of a project answers over HTTP, from one process."""

import ipaddress
import logging
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from unroll.core.errors import ConfigError

if TYPE_CHECKING:
    import uvicorn

    from unroll.serving.http.roster import Roster

TOKEN = "UNROLL_TOKEN"  # noqa: S105 - the variable's name
SHORTEST_TOKEN = 16
GRACE_S = 10
"""For answers under way when the server is stopped."""


@dataclass(frozen=True)
class Address:
    """Where to listen, and the token that requests must carry."""

    host: str
    port: int
    token: str | None

    @classmethod
    def allowed(cls, host: str, port: int, no_token: bool) -> "Address":
        """Raises ConfigError for an address that other machines reach without a token, unless ``no_token`` says so."""
        token = os.environ.get(TOKEN, "").strip() or None
        if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii()):
            raise ConfigError(f"{TOKEN}: {len(token)} characters; expected at least {SHORTEST_TOKEN}, ASCII alone")
        if token is not None and no_token:
            raise ConfigError(f"--no-token: {TOKEN} is set; expected one of the two")
        if token is None and not no_token and not is_local(host):
            raise ConfigError(
                f"--host: {host!r} is reached by others; expected {TOKEN} in the environment, or --no-token to let "
                "everyone in"
            )
        return cls(host, port, token)

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        return is_local(self.host)

    def listen(self) -> socket.socket:
        """A listening socket; raises ConfigError for an address that cannot be used."""
        try:
            family = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((self.host, self.port), family=family, backlog=256)
        except (OSError, UnicodeError) as error:
            known = isinstance(error, OSError) and error.errno and error.errno > 0
            reason = os.strerror(error.errno) if known else str(error)  # type: ignore[union-attr, arg-type]
            raise ConfigError(f"--host, --port: {self.host}:{self.port}: {reason}; expected a free address") from None


def is_local(host: str) -> bool:
    """Whether the address, or every address that the name stands for here, is reached from this machine alone.

    >>> is_local("127.0.0.2"), is_local("localhost"), is_local("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        addresses = {str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):  # an unknown name
        return False
    return bool(addresses) and all(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in addresses)


def main(root: Path, tasks: Sequence[str], address: Address, threads: int, out: TextIO) -> None:
    """Serve until stopped. Raises ConfigError for an unknown task or an address that cannot be used."""
    from unroll.serving.http.limits import Limits
    from unroll.serving.http.measures import Measures
    from unroll.serving.http.roster import Roster, names

    limits = Limits()
    served = names(root, tasks)
    measures = Measures(served)
    listening = address.listen()
    _log(sys.stderr)
    server = build(Roster(root, served, limits, measures, threads), address)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    out.write(f"serving {', '.join(served)} at http://{shown}:{port}/\n")
    out.flush()
    server.run(sockets=[listening])


def build(roster: "Roster", address: Address) -> "uvicorn.Server":
    """The server of a roster, not started."""
    import uvicorn

    from unroll.serving.http import app, protocol

    limits = roster.limits
    config = uvicorn.Config(
        app.build(roster, address.token, address.host if address.local else None),
        http=protocol.bounded(limits),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(limits.idle_s),
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=limits.header_bytes,
    )
    return uvicorn.Server(config)


def _log(stream: TextIO) -> None:
    """Our own lines; of uvicorn's only errors."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name, level in (("unroll.serving.http", logging.INFO), ("uvicorn", logging.ERROR)):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(level)
