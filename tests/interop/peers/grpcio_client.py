"""The interop client on grpcio (C-core).

    grpcio_client.py --server_port P --test_case all            the 18 core cases and the three load cases
    grpcio_client.py --server_port P --test_case ping_pong,...  those named; also the HTTP/2 negative ones, those at
                                                                the edges and those under load

Prints `PASS name` or `FAIL name: why` for each and closes with `N passed, M failed`; exits 0 only when all passed.
"""

import argparse
import sys
import traceback

import grpc

from client_cases import CASES, CaseFailed, Target
from edge_cases import EDGES
from grpcio_loads import LOADS
from negative_cases import NEGATIVE


def run(name, case, target):
    """Runs one case; gives why it did not pass, or None, and what it has to say."""
    try:
        return None, case(target) or ""
    except CaseFailed as error:
        why = str(error)
    except grpc.RpcError as error:
        why = f"the call failed: {error.code()} {error.details()!r}"
    except Exception as error:  # noqa: BLE001 - one broken case must not hide the others
        traceback.print_exc()
        why = f"{type(error).__name__}: {error}"
    return why, ""


def main():
    parser = argparse.ArgumentParser(description="gRPC interop client on grpcio")
    parser.add_argument("--server_host", default="127.0.0.1")
    parser.add_argument("--server_port", type=int, required=True)
    parser.add_argument("--test_case", default="all")
    parser.add_argument("--concurrency", type=int, default=1000, help="calls of concurrent_large_unary")
    parser.add_argument("--soak_iterations", type=int, default=100)
    parser.add_argument("--soak_max_failures", type=int, default=0)
    parser.add_argument("--soak_per_iteration_max_acceptable_latency_ms", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=1000, help="calls or messages of a load")
    parser.add_argument("--at_once", type=int, default=1, help="how many of them at a time")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a load without a number of calls goes on")
    parser.add_argument("--use_tls", default="false")
    parser.add_argument("--ca_file")
    parser.add_argument("--server_host_override")
    arguments = parser.parse_args()

    known = CASES | NEGATIVE | EDGES | LOADS
    names = list(CASES) if arguments.test_case == "all" else arguments.test_case.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; there are: {', '.join(known)}")
    target = Target(
        arguments.server_host,
        arguments.server_port,
        arguments.concurrency,
        arguments.soak_iterations,
        arguments.soak_max_failures,
        arguments.soak_per_iteration_max_acceptable_latency_ms,
        arguments.calls,
        arguments.at_once,
        arguments.seconds,
        arguments.ca_file if arguments.use_tls == "true" else None,
        arguments.server_host_override,
    )
    failed = 0
    for name in names:
        why, said = run(name, known[name], target)
        failed += why is not None
        print(f"PASS {name}: {said}" if why is None else f"FAIL {name}: {why}", flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
