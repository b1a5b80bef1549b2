"""Starting, watching and ending the programs of the suite."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


class ProcessFailed(Exception):
    """A program did not start, did not end in time or ended badly."""


def peer(script, *arguments):
    """The command line of one of the Python peers."""
    return [sys.executable, str(HERE / script), *map(str, arguments)]


class Server:
    """A program that prints `LISTENING <port>`; `with Server(command) as server:` ends it in any case."""

    def __init__(self, command):
        self._command = list(map(str, command))
        self.port = None
        self.output = ""

    def __enter__(self):
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        except OSError as error:
            raise ProcessFailed(f"{self._command[0]} did not start: {error}") from None
        os.set_blocking(self._process.stdout.fileno(), False)
        deadline = time.monotonic() + 10
        while self.port is None:
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                self.kill()
                raise ProcessFailed(f"{self._command[0]} printed no LISTENING line: {self.output[-300:]!r}")
            for line in self.output.splitlines(keepends=True):
                if line.startswith("LISTENING ") and line.endswith("\n"):
                    self.port = int(line.split()[1])
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def alive(self):
        return self._process.poll() is None

    def drain(self):
        """Takes what the program has printed, so that its pipe never fills."""
        while self._read(0):
            pass

    def wait(self, seconds):
        """Waits for the program to end; its exit code, or None when it runs on."""
        deadline = time.monotonic() + seconds
        while self.alive and time.monotonic() < deadline:
            if not self._read(0.05):
                time.sleep(0.01)
        self.drain()
        return self._process.poll()

    def terminate(self, seconds=5.0):
        """SIGTERM, then waits; the exit code, or ProcessFailed when it does not end."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
        code = self.wait(seconds)
        if code is None:
            raise ProcessFailed(f"still running {seconds:.0f} s after SIGTERM")
        return code

    def kill(self):
        if self.alive:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def _read(self, seconds):
        """Reads what is there within the time; False at the end of output or when nothing came."""
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            return False
        payload = self._process.stdout.read(65536)
        self.output += (payload or b"").decode(errors="replace")
        return bool(payload)


def run_client(command, seconds):
    """Runs a client to its end: why it failed, or None when it exited 0 within the time; and what it said of its load."""
    try:
        done = subprocess.run(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
        )
    except OSError as error:
        return f"did not start: {error}", ""
    except subprocess.TimeoutExpired:
        return f"not done after {seconds:.0f} s", ""
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    if done.returncode == 0:
        said = [line.partition(": ")[2] for line in lines if line.startswith("PASS ")]
        return None, "; ".join(filter(None, said))
    telling = [line for line in lines if line.startswith("FAIL ")] or lines[-3:]
    return f"exit code {done.returncode}: {' | '.join(telling)[:500]}", ""
