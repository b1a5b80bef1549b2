"""The server of the HTTP/2 negative interop cases.

    negative_server.py --port 0 --test_case ping

Prints `LISTENING <port>`. When the case has run its course and its connection has ended, or at SIGTERM, it prints
`VERDICT ok` or `VERDICT fail: why` about the client's side of the wire, and exits 0 or 1.
"""

import argparse
import asyncio
import signal
import sys

from h2_server import Connection, answer


class Case:
    """An ordinary answer to every request; the cases change it."""

    served_wanted = 1

    def __init__(self):
        self.connections = []
        self.served = []  # the connection of each answered request
        self.over = asyncio.Event()

    # called by the connections

    def connected(self, connection):
        self.connections.append(connection)

    def disconnected(self, _connection):
        if len(self.served) >= self.served_wanted:
            self.over.set()

    async def respond(self, connection, stream_id, request):
        await self.send(connection, stream_id, answer(request))
        self.served.append(connection)

    async def send(self, connection, stream_id, payload):
        connection.headers(stream_id)
        await connection.data(stream_id, payload)
        connection.trailers(stream_id)

    def problems(self):
        """Everything that was wrong; empty when the client behaved."""
        found = [problem for connection in self.connections for problem in connection.problems]
        if len(self.served) < self.served_wanted:
            found.append(f"{len(self.served)} of {self.served_wanted} requests were answered in full")
        return found


class GoAway(Case):
    """GOAWAY right after the first response: the second request must come on another connection."""

    served_wanted = 2

    async def send(self, connection, stream_id, payload):
        await super().send(connection, stream_id, payload)
        if not self.served:
            connection.go_away(stream_id)

    def problems(self):
        found = super().problems()
        if len(set(self.served)) != len(self.served):
            found.append("both requests were answered on one connection")
        if len(self.connections) != 2:
            found.append(f"{len(self.connections)} connections were made, not 2")
        return found


class RstAfterHeader(Case):
    async def send(self, connection, stream_id, payload):
        connection.headers(stream_id)
        connection.reset(stream_id)


class RstDuringData(Case):
    async def send(self, connection, stream_id, payload):
        connection.headers(stream_id)
        await connection.data(stream_id, payload[: len(payload) // 2])
        connection.reset(stream_id)


class RstAfterData(Case):
    async def send(self, connection, stream_id, payload):
        connection.headers(stream_id)
        await connection.data(stream_id, payload)
        connection.reset(stream_id)


class Ping(Case):
    """PINGs before and after the headers and around every DATA frame; each must be acknowledged once."""

    async def send(self, connection, stream_id, payload):
        connection.ping()
        connection.headers(stream_id)
        connection.ping()
        await connection.data(stream_id, payload, around=connection.ping)
        # The trailers wait for the last acknowledgement: with them the client may leave.
        await connection.until(
            lambda: not connection.pings_outstanding, 5, f"all {connection.pings_sent} PINGs were acknowledged"
        )
        connection.trailers(stream_id)


class MaxStreams(Case):
    """One stream at a time from the first call on; h2 itself ends a connection on which a second one is opened."""

    served_wanted = 11

    def __init__(self):
        super().__init__()
        self._limited = set()

    async def send(self, connection, stream_id, payload):
        if connection not in self._limited:
            await connection.allow_streams(1)
            self._limited.add(connection)
        await asyncio.sleep(0.01)  # time for a second stream to show
        await super().send(connection, stream_id, payload)


class DataFramePadding(Case):
    """Five bytes of message in each DATA frame; the padding is 50 times that and must be credited back."""

    padding = 255

    async def send(self, connection, stream_id, payload):
        connection.headers(stream_id)
        await connection.data(stream_id, payload, chunk=5, padding=self.padding)
        connection.trailers(stream_id)


class NoDataFramePadding(DataFramePadding):
    padding = None


CASES = {
    "goaway": GoAway,
    "rst_after_header": RstAfterHeader,
    "rst_during_data": RstDuringData,
    "rst_after_data": RstAfterData,
    "ping": Ping,
    "max_streams": MaxStreams,
    "data_frame_padding": DataFramePadding,
    "no_df_padding_sanity_test": NoDataFramePadding,
}


async def serve(port, name):
    """Serves one run of a case; gives what was wrong."""
    case = CASES[name]()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, case.over.set)
    server = await loop.create_server(lambda: Connection(case), "127.0.0.1", port)
    print(f"LISTENING {server.sockets[0].getsockname()[1]}", flush=True)
    await case.over.wait()
    server.close()
    return case.problems()


def main():
    parser = argparse.ArgumentParser(description="server of the HTTP/2 negative interop cases")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--test_case", choices=CASES, required=True)
    arguments = parser.parse_args()
    problems = asyncio.run(serve(arguments.port, arguments.test_case))
    print(f"VERDICT fail: {'; '.join(problems)}" if problems else "VERDICT ok", flush=True)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
