"""The client's part of the HTTP/2 negative cases on grpcio: the control that shows what negative_server.py does."""

import time

import grpc

from client_cases import DEADLINE, CaseFailed, check, check_large, large_request


def _call(stub):
    return stub.UnaryCall(large_request(), timeout=DEADLINE)


def _one_call(target):
    with target.stub() as stub:
        check_large(_call(stub))


def _failing_call(target):
    with target.stub() as stub:
        try:
            _call(stub)
        except grpc.RpcError as error:
            check(error.code() != grpc.StatusCode.DEADLINE_EXCEEDED, "the call hung until its deadline")
        else:
            raise CaseFailed("the call succeeded although its stream was reset")


def goaway(target):
    with target.stub() as stub:
        check_large(_call(stub))
        time.sleep(1)
        check_large(_call(stub))


def max_streams(target):
    with target.stub() as stub:
        check_large(_call(stub))
        calls = [stub.UnaryCall.future(large_request(), timeout=DEADLINE) for _ in range(10)]
        for call in calls:
            check_large(call.result())


NEGATIVE = {
    "goaway": goaway,
    "rst_after_header": _failing_call,
    "rst_during_data": _failing_call,
    "rst_after_data": _failing_call,
    "ping": _one_call,
    "max_streams": max_streams,
    "data_frame_padding": _one_call,
    "no_df_padding_sanity_test": _one_call,
}
