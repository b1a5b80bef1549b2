"""The loads: what honest peers do for long, at high rates or to one slow reader, between which peers, and how much.

What each is about stands in docs/interop.md. A load passes when every call of it ended as it should; how long calls took
is printed, and held by nothing but their deadlines.
"""

from dataclasses import dataclass, replace


@dataclass
class Load:
    """A case, and the numbers that its client is given."""

    case: str
    calls: int = 1000
    at_once: int = 1
    seconds: int = 2

    @property
    def arguments(self):
        return ["--calls", self.calls, "--at_once", self.at_once, "--seconds", self.seconds]


_MANY_UNARY = Load("many_unary", calls=3000)
_LONG_BIDI = Load("long_bidi", calls=4000, at_once=4)
_ENDED_EARLY = Load("ended_early", calls=600, at_once=10)
_DROPPED_EARLY = Load("dropped_early", calls=600, at_once=10)
_EXPIRED_DEADLINES = Load("expired_deadlines", calls=500, at_once=25)
_MIXED_ENDS = Load("mixed_ends", at_once=40)
_STALLED = [Load("stalled_downloads"), Load("stalled_uploads")]
_ALL = [_MANY_UNARY, _LONG_BIDI, _ENDED_EARLY, _DROPPED_EARLY, _EXPIRED_DEADLINES, _MIXED_ENDS, *_STALLED]

# grpc-go sends a PING in each round trip in which DATA flows: here they are many.
_PINGS = [replace(_MANY_UNARY, calls=20_000), replace(_LONG_BIDI, calls=20_000)]
# Messages under way when 1,300 calls end were the most that grpc-go was tried with.
_EARLY_ENDS = [replace(_ENDED_EARLY, calls=1300), replace(_DROPPED_EARLY, calls=1300)]


def _instead(*others):
    """All loads, with other numbers in some."""
    by_case = {load.case: load for load in others}
    return [by_case.get(load.case, load) for load in _ALL]


# By the name of the peer. A load that is not here is `_ALL`'s.
_CLIENTS = {
    "grpcio": _instead(replace(_MIXED_ENDS, seconds=5)),
    "grpc-go": _instead(*_PINGS, *_EARLY_ENDS),
    # A call of grpc-js takes a multiple of the others' time.
    "grpc-js": _instead(replace(_MANY_UNARY, calls=1000), replace(_LONG_BIDI, calls=1000)),
}
_SERVERS = {
    "grpc-go": _instead(*_PINGS, *_EARLY_ENDS),
}


def of_client(name):
    """The loads with which this peer calls halfclose."""
    return _CLIENTS.get(name, _ALL)


def of_server(name):
    """The loads with which halfclose calls this peer."""
    return _SERVERS.get(name, _ALL)


CASES = [load.case for load in _ALL]
