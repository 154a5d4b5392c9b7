"""Starts the page's server, opens the page in the browser, and ends the server."""

import logging
import secrets
import socket
import sys
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Any

from crack_lightning.errors import UserError
from crack_lightning.page.news import News
from crack_lightning.project.options import LOOPBACK_HOSTS, ServeOptions
from crack_lightning.project.project import Project, open_project
from crack_lightning.project.site_photographs import load_photographs
from crack_lightning.system.libraries import library
from crack_lightning.system.names import plural

log = logging.getLogger(__name__)

INSTALL_HINT = 'serve needs FastAPI and uvicorn: pip install -e ".[page]"'
ALL_ADDRESSES = ("0.0.0.0", "::")  # hosts that listen on every address of this computer
HTTP_PORT = 80
GRACE_S = 2  # seconds that answers in progress may still take when the server ends
# How long a thread that computes may keep Python from one that answers: at 5 ms, Python's own, the list of 2,000
# photographs took 4 s beside two threads at work, and 0.4 s at this.
SWITCH_S = 0.0005


class PageServer:
    """A project with the server of its page and its worker; `address` is the URL of the page."""

    def __init__(self, options: ServeOptions, folder: Path) -> None:
        """Raises UserError where a library is missing, the port is taken, or the project cannot be opened."""
        uvicorn = library("uvicorn", INSTALL_HINT)
        library("fastapi", INSTALL_HINT)
        self._socket = _listening_socket(options.host, options.port)
        port = self._socket.getsockname()[1]
        try:
            self.project: Project = open_project(options, folder)
            load_photographs(self.project)
        except BaseException:
            self._socket.close()
            raise
        from crack_lightning.page.application import application  # these need the libraries that were just checked
        from crack_lightning.page.guard import Guard
        from crack_lightning.page.worker import Worker

        self.news = News()
        self.worker = Worker(self.project, self.news)
        token = secrets.token_urlsafe(24) if options.token else None
        host = _outward_address() if options.host in ALL_ADDRESSES else options.host
        host = f"[{host}]" if ":" in host else host
        names = {host, "127.0.0.1", "localhost", "[::1]"}
        hosts = {f"{name}:{port}" for name in names} | (names if port == HTTP_PORT else set())
        guarded = Guard(application(self.project, self.worker), hosts=hosts, token=token, named=options.hosts)
        self.address = f"http://{host}:{port}/" + ("" if token is None else f"#token={token}")
        self._server = uvicorn.Server(
            uvicorn.Config(
                guarded, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_S, server_header=False
            )
        )
        self._uvicorn_exit = self._server.handle_exit
        self._server.handle_exit = self._end_news_first

    def _end_news_first(self, number: int, frame: Any) -> None:
        """Ends the streams of news at Ctrl-C, then the server, which would otherwise wait for them."""
        self.news.close()
        self._uvicorn_exit(number, frame)

    def run(self) -> None:
        """Answers requests until `stop`, or until Ctrl-C."""
        self.worker.start()
        self.worker.add(self.project.photographs)
        former_s = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)
        try:
            self._server.run(sockets=[self._socket])
        finally:
            sys.setswitchinterval(former_s)
            self.news.close()
            self.worker.end()
            self.close()

    def close(self) -> None:
        """Releases the port and the project."""
        self._socket.close()
        self.project.close()

    def stop(self) -> None:
        """Ends `run`, from another thread."""
        self.news.close()
        self._server.should_exit = True


def serve_project(options: ServeOptions, folder: Path) -> None:
    """Serves the project in `folder` until Ctrl-C; logs the page's address, and opens it if `options.open`.

    Raises UserError or OSError where it cannot be served.
    """
    server = PageServer(options, folder)
    count = plural(len(server.project.photographs), "photograph")
    log.info("%s; the page is at %s (Ctrl-C ends it)", count, server.address)
    if options.host not in LOOPBACK_HOSTS:
        log.warning(
            "other computers can reach this server: anyone with that address can see and change the whole project"
        )
    if options.hosts and not options.token:
        log.warning("anyone whom %s lets through can see and change the whole project", " and ".join(options.hosts))
    if options.open:
        threading.Timer(0.5, webbrowser.open, [server.address]).start()
    with suppress(KeyboardInterrupt):  # Ctrl-C ends the server
        server.run()
    log.info("the project: %s", folder)


def _outward_address() -> str:
    """Returns the address at which other computers reach this one; it is found without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return LOOPBACK_HOSTS[0]
        return str(probe.getsockname()[0])


def _listening_socket(host: str, port: int) -> socket.socket:
    """Returns a listening socket. Raises UserError where the port is taken or `host` is not this computer's address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UserError(
            f"host={host} port={port} cannot be used ({error.strerror or error}): give another port=, or port=0 for "
            "any free port"
        ) from error
    return listener
