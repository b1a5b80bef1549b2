"""The `grpc.testing` messages, client stubs and server handlers, built from the descriptor set that setup.sh made.

Nothing here is generated code: the package name `grpc.testing` would shadow the `grpc` package if it were.
"""

import gzip
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_DESCRIPTORS = Path(sys.prefix) / "grpc_testing.binpb"
if not _DESCRIPTORS.exists():
    sys.exit(f"{_DESCRIPTORS} is missing: run tests/interop/peers/setup.sh and use the Python that it names")

_pool = descriptor_pool.DescriptorPool()
_files = descriptor_pb2.FileDescriptorSet.FromString(_DESCRIPTORS.read_bytes())
for _file in _files.file:
    _pool.Add(_file)


def _message(name):
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"grpc.testing.{name}"))


def service(name):
    """The descriptor of the service `grpc.testing.<name>`."""
    return _pool.FindServiceByName(f"grpc.testing.{name}")


Empty = _message("Empty")
BoolValue = _message("BoolValue")
Payload = _message("Payload")
EchoStatus = _message("EchoStatus")
SimpleRequest = _message("SimpleRequest")
SimpleResponse = _message("SimpleResponse")
StreamingInputCallRequest = _message("StreamingInputCallRequest")
StreamingInputCallResponse = _message("StreamingInputCallResponse")
ResponseParameters = _message("ResponseParameters")
StreamingOutputCallRequest = _message("StreamingOutputCallRequest")
StreamingOutputCallResponse = _message("StreamingOutputCallResponse")


def zeros(size):
    """A payload of `size` zero bytes."""
    return Payload(body=bytes(size))


class Uncompressed(NamedTuple):
    """Wraps a request of a client stream that must go out uncompressed although the call compresses."""

    message: object


class _PlainBytes(bytes):
    """Serialized bytes that must not be compressed."""


class _Core:
    """`cygrpc` as grpc._channel sees it, with the per-message no-compress flag for _PlainBytes.

    grpcio's public client API has no per-message switch, while C-core has the write flag.
    """

    def __init__(self, core):
        self._core = core

    def __getattr__(self, name):
        return getattr(self._core, name)

    def SendMessageOperation(self, message, flags):  # noqa: N802 - the name is cygrpc's
        if isinstance(message, _PlainBytes):
            message, flags = bytes(message), flags | self._core.WriteFlag.no_compress
        return self._core.SendMessageOperation(message, flags)


def _allow_uncompressed_messages():
    import grpc._channel as channel

    if not isinstance(channel.cygrpc, _Core):
        channel.cygrpc = _Core(channel.cygrpc)


def _serialize(message):
    if isinstance(message, Uncompressed):
        return _PlainBytes(message.message.SerializeToString())
    return message.SerializeToString()


class Stub:
    """One callable for each method of a service, under the method's name."""

    def __init__(self, channel, service_name="TestService"):
        _allow_uncompressed_messages()
        descriptor = service(service_name)
        for method in descriptor.methods:
            shape = f"{_side(method.client_streaming)}_{_side(method.server_streaming)}"
            call = getattr(channel, shape)(
                f"/{descriptor.full_name}/{method.name}",
                request_serializer=_serialize,
                response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
            )
            setattr(self, method.name, call)


def _side(streaming):
    return "stream" if streaming else "unary"


class Received(NamedTuple):
    """A request, and whether its message was compressed on the wire."""

    message: object
    compressed: bool


# With this option C-core hands over compressed messages as they came, which is the one way for a Python server to
# learn a message's compressed flag: gzip's first byte (0x1f) and zlib's (0x78) cannot begin any of these messages
# (wire type 7; field 15 as a varint, which none has), so the first byte tells exactly.
RAW_MESSAGES = ("grpc.per_message_decompression", 0)


def _deserializer(message_class):
    def deserialize(payload):
        if payload[:2] == b"\x1f\x8b":
            return Received(message_class.FromString(gzip.decompress(payload)), True)
        if payload[:1] == b"\x78":
            return Received(message_class.FromString(zlib.decompress(payload)), True)
        return Received(message_class.FromString(payload), False)

    return deserialize


def handlers(service_name, implementation):
    """Generic handlers for the methods of the service that `implementation` has; the rest stays unimplemented.

    Every request reaches its method as a `Received`. The server must have been made with `RAW_MESSAGES`.
    """
    descriptor = service(service_name)
    table = {}
    for method in descriptor.methods:
        behaviour = getattr(implementation, method.name, None)
        if behaviour is None:
            continue
        shape = f"{_side(method.client_streaming)}_{_side(method.server_streaming)}"
        make = getattr(grpc, f"{shape}_rpc_method_handler")
        table[method.name] = make(
            behaviour,
            request_deserializer=_deserializer(message_factory.GetMessageClass(method.input_type)),
            response_serializer=lambda message: message.SerializeToString(),
        )
    return grpc.method_handlers_generic_handler(descriptor.full_name, table)
