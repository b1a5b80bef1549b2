"""Starting, reloading and ending the proxies. Their configurations are the files beside this one."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from processes import ProcessFailed

_HERE = Path(__file__).resolve().parent
_PATIENCE = 10.0  # seconds for a proxy to listen, to reload and to end
_PORTS = 5  # tries: a port that was free a moment ago may be taken


@dataclass(frozen=True)
class Kind:
    """What is known of a proxy: its template, what of it is left out, its program, how it is asked to reload."""

    name: str
    template: str
    command: tuple
    reload: int
    without: str = ""
    # What it logs when it has loaded a configuration. Before that, HAProxy may miss a signal to reload.
    loaded: str = ""

    def start(self, config):
        """The command line, with the configuration at its end."""
        return [*self.command[:-1], self.command[-1] + config]

    def render(self, values):
        """The text of a configuration."""
        text = (_HERE / self.template).read_text().replace(self.without, "")
        for name, value in values.items():
            text = text.replace("{{" + name + "}}", str(value))
        return text


_NGINX = ("nginx", "-e", "stderr", "-c", "")
_HAPROXY = ("haproxy", "-W", "-db", "-f", "")
_LOADED = "Loading success."
_NGHTTPX = ("nghttpx", "--conf=")
KINDS = {
    kind.name: kind
    for kind in (
        Kind("nginx", "nginx.conf", _NGINX, signal.SIGHUP),
        Kind("haproxy", "haproxy.cfg", _HAPROXY, signal.SIGUSR2, loaded=_LOADED),
        # Its default: calls share a connection to their server.
        Kind("haproxy-shared", "haproxy.cfg", _HAPROXY, signal.SIGUSR2, without=" max-reuse 0", loaded=_LOADED),
        Kind("nghttpx", "nghttpx.conf", _NGHTTPX, signal.SIGHUP),
    )
}


def version(kind):
    """The first line that the program says of itself; None when it is not there."""
    try:
        command = (kind.command[0], "-v")
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE)
    except OSError:
        return None
    return (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()[0]


class Proxy:
    """`with Proxy(kind, upstream) as proxy:` listens on 127.0.0.1:`proxy.port` and forwards to 127.0.0.1:upstream."""

    def __init__(self, kind, upstream):
        self._kind = kind
        self._upstream = upstream
        self._process = None
        self.port = None

    def __enter__(self):
        self._directory = tempfile.TemporaryDirectory(prefix="halfclose-proxies-")
        # The workers of a proxy that was started by root are somebody else.
        os.chmod(self._directory.name, 0o755)
        # Appending, since reading it moves the place that the programs share.
        self._log = open(Path(self._directory.name) / "log", "a+b")
        why = None
        for _ in range(_PORTS):
            self.port = _free_port()
            why = self._start()
            if why is None:
                return self
        self.__exit__()
        raise ProcessFailed(f"{self._kind.name} does not start: {why}")

    def __exit__(self, *_):
        self.kill()
        self._log.close()
        self._directory.cleanup()

    @property
    def alive(self):
        return self._process is not None and self._process.poll() is None

    @property
    def log(self):
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def reload(self):
        """Asks for a reload, and waits until a new worker has begun."""
        before, loaded = self._workers(), self._loaded()
        self._process.send_signal(self._kind.reload)
        self._until("reload", lambda: self._workers() - before and self._has_loaded(loaded))

    def restart(self):
        """Kills every process of it, and starts it anew on the same port."""
        self.kill()
        # The workers are not ours to wait for, and hold the port for a moment longer.
        deadline = time.monotonic() + _PATIENCE
        while (why := self._start()) is not None:
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self._kind.name} does not start again: {why}")

    def kill(self):
        """Ends all processes of it at once."""
        if self._process is None:
            return
        # They are a group of their own. One that is empty is no error: then it has ended by itself.
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._process = None

    def _start(self):
        """None once it listens, else why it does not."""
        config, loaded = self._render(), self._loaded()
        self._process = subprocess.Popen(
            self._kind.start(config),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self._until("listen", lambda: not self.alive or self._listens() and self._has_loaded(loaded))
        except ProcessFailed as error:
            self.kill()
            return str(error)
        return None if self.alive else f"it ended: {self.log[-300:]!r}"

    def _render(self):
        values = {"directory": self._directory.name, "port": self.port, "upstream": self._upstream}
        config = Path(self._directory.name) / self._kind.template
        config.write_text(self._kind.render(values))
        return str(config)

    def _listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return bool(self._workers())

    def _loaded(self):
        """How many times it says that it has loaded its configuration."""
        return self.log.count(self._kind.loaded)

    def _has_loaded(self, before):
        """Whether it says so once more, where it says so at all."""
        return not self._kind.loaded or self._loaded() > before

    def _workers(self):
        """The processes below the first one."""
        pid = self._process.pid
        try:
            return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        except OSError:
            return set()

    def _until(self, what, condition):
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self._kind.name} does not {what}: {self.log[-300:]!r}")
            time.sleep(0.01)


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
