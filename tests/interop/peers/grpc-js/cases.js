'use strict';
// The core cases and those at the edges: each takes a client on a connection of its own, and the target.

const grpc = require('@grpc/grpc-js');

const { ECHO_INITIAL, ECHO_TRAILING, zeros } = require('./testing');
const {
  DOWNLOAD_SIZES,
  LARGE_REQUEST,
  LARGE_RESPONSE,
  Responses,
  UPLOAD_SIZES,
  check,
  checkBody,
  duplex,
  duplexRequest,
  equal,
  failsWith,
  large,
  largeRequest,
  limited,
  session,
  unary,
  uncompressed,
} = require('./calls');

const { status } = grpc;
const SPECIAL = '\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n';
const INITIAL = 'test_initial_metadata_value';
const TRAILING = Buffer.from([0xab, 0xab, 0xab]);

async function emptyUnary(client) {
  await unary(client, 'EmptyCall', {});
}

async function clientCompressedUnary(client, target) {
  const packed = largeRequest({ expect_compressed: { value: true } });
  // The probe: a server that cannot tell would accept it, and the rest would prove nothing.
  await failsWith(unary(client, 'UnaryCall', packed), status.INVALID_ARGUMENT);
  await session(target, (compressing) => large(compressing, packed), { gzip: true });
  await large(client, largeRequest({ expect_compressed: { value: false } }));
}

// grpc-js tells nobody which responses came compressed: that is seen on the wire, by the suite.
async function serverCompressedUnary(client) {
  for (const value of [true, false]) {
    await large(client, largeRequest({ response_compressed: { value } }));
  }
}

function upload(client, requests) {
  return new Promise((resolve, reject) => {
    const metadata = new grpc.Metadata();
    const call = client.StreamingInputCall(metadata, limited(), (error, response) => {
      if (error) {
        reject(error);
      } else {
        resolve(response.aggregated_payload_size);
      }
    });
    for (const request of requests) {
      call.write(request);
    }
    call.end();
  });
}

async function clientStreaming(client) {
  const size = await upload(
    client,
    UPLOAD_SIZES.map((bytes) => ({ payload: zeros(bytes) })),
  );
  equal('aggregated_payload_size', size, 74922);
}

async function clientCompressedStreaming(client, target) {
  const request = (bytes, value) => ({ payload: zeros(bytes), expect_compressed: { value } });
  await failsWith(upload(client, [request(27182, true)]), status.INVALID_ARGUMENT);
  const plain = request(45904, false);
  uncompressed.add(plain);
  const packed = request(27182, true);
  const size = await session(target, (compressing) => upload(compressing, [packed, plain]), { gzip: true });
  equal('aggregated_payload_size', size, 73086);
}

async function download(client, request, sizes) {
  const responses = new Responses(client.StreamingOutputCall(request, new grpc.Metadata(), limited()));
  for (const size of sizes) {
    await responses.next(size);
  }
  await responses.ended();
}

async function serverStreaming(client) {
  await download(client, duplexRequest(0, ...DOWNLOAD_SIZES), DOWNLOAD_SIZES);
}

async function serverCompressedStreaming(client) {
  const request = duplexRequest(0, 31415, 92653);
  request.response_parameters.forEach((wanted, number) => {
    wanted.compressed = { value: number === 0 };
  });
  await download(client, request, [31415, 92653]);
}

async function pingPong(client) {
  const { call, responses } = duplex(client);
  for (const [number, size] of UPLOAD_SIZES.entries()) {
    call.write(duplexRequest(size, DOWNLOAD_SIZES[number]));
    await responses.next(DOWNLOAD_SIZES[number]);
  }
  call.end();
  await responses.ended();
}

async function emptyStream(client) {
  const { call, responses } = duplex(client);
  call.end();
  await responses.ended();
}

function echoing(initial, trailing) {
  const metadata = new grpc.Metadata();
  metadata.set(ECHO_INITIAL, initial);
  metadata.set(ECHO_TRAILING, trailing);
  return metadata;
}

/** Each value came back once, and where it belongs. */
function checkEcho(header, trailer, initial, trailing) {
  equal('echo in the initial metadata', JSON.stringify(header.get(ECHO_INITIAL)), JSON.stringify([initial]));
  const echoed = trailer.get(ECHO_TRAILING).map((value) => value.toString('hex'));
  equal('echo in the trailing metadata', JSON.stringify(echoed), JSON.stringify([trailing.toString('hex')]));
}

async function customMetadata(client) {
  const metadata = echoing(INITIAL, TRAILING);
  const { response, header, trailer } = await unary(client, 'UnaryCall', largeRequest(), { metadata });
  checkBody(response, LARGE_RESPONSE);
  checkEcho(header, trailer, INITIAL, TRAILING);

  const { call, responses } = duplex(client, { metadata });
  call.write(duplexRequest(LARGE_REQUEST, LARGE_RESPONSE));
  call.end();
  await responses.next(LARGE_RESPONSE);
  await responses.ended();
  checkEcho(await responses.header, (await responses.status).metadata, INITIAL, TRAILING);
}

function echo(message) {
  return { response_status: { code: 2, message } };
}

async function statusCodeAndMessage(client) {
  const message = 'test status message';
  await failsWith(unary(client, 'UnaryCall', echo(message)), status.UNKNOWN, message);
  const { call, responses } = duplex(client);
  call.write(echo(message));
  call.end();
  await failsWith(responses.receive(), status.UNKNOWN, message);
}

async function specialStatusMessage(client) {
  await failsWith(unary(client, 'UnaryCall', echo(SPECIAL)), status.UNKNOWN, SPECIAL);
}

async function unimplementedMethod(client) {
  await failsWith(unary(client, 'UnimplementedCall', {}), status.UNIMPLEMENTED);
}

async function unimplementedService(_, target) {
  await session(target, unimplementedMethod, { service: 'UnimplementedService' });
}

async function cancelAfterBegin(client) {
  const ended = new Promise((resolve) => {
    const call = client.StreamingInputCall(new grpc.Metadata(), limited(), (error) => resolve(error));
    // What is answered behind the headers tells that they have left.
    emptyUnary(client).then(() => call.cancel());
  });
  equal('status code', (await ended).code, status.CANCELLED);
  // And at the end the same of the reset.
  await emptyUnary(client);
}

async function cancelAfterFirstResponse(client) {
  await cancelled(client);
  await emptyUnary(client);
}

/** A call that is cancelled when its first response is there. */
async function cancelled(client) {
  const { call, responses } = duplex(client);
  call.write(duplexRequest(27182, 31415));
  await responses.next(31415);
  call.cancel();
  await failsWith(responses.receive(), status.CANCELLED);
}

/** A call that nobody answers. */
async function outOfTime(client, limit) {
  const { call, responses } = duplex(client, { limit });
  await failsWith(responses.receive(), status.DEADLINE_EXCEEDED);
  call.end();
}

async function timeoutOnSleepingServer(client) {
  const { call, responses } = duplex(client, { limit: 1 });
  call.write(duplexRequest(27182));
  await failsWith(responses.receive(), status.DEADLINE_EXCEEDED);
}

// The message comes back whole. Spaces around a metadata value may be gone (PROTOCOL-HTTP2: "may be stripped"), the
// value may not.
async function spacesAtTheEnds(client) {
  for (const message of [' before', 'after ', '  both  ', ' ']) {
    await failsWith(unary(client, 'UnaryCall', echo(message)), status.UNKNOWN, message);
  }
  const bytes = Buffer.from(' \0 ');
  const metadata = echoing('  in the middle  ', bytes);
  const call = unary(client, 'UnaryCall', echo(' with metadata '), { metadata });
  const { header, metadata: trailer } = await failsWith(call, status.UNKNOWN, ' with metadata ');
  const trimmed = new grpc.Metadata();
  trimmed.set(ECHO_INITIAL, String(header.get(ECHO_INITIAL)[0]).trim());
  checkEcho(trimmed, trailer, 'in the middle', bytes);
}

// The first request is sent when the headers are there: only a server that sends them early serves it.
async function waitsForHeaders(client) {
  const { call, responses } = duplex(client, { limit: 5000 });
  const first = await Promise.race([responses.header, responses.status]);
  check(first instanceof grpc.Metadata, `no headers: ${first.details}`);
  call.write(duplexRequest(8, 9));
  await responses.next(9);
  call.end();
  await responses.ended();
}

module.exports = {
  cancelled,
  outOfTime,
  cases: {
    empty_unary: emptyUnary,
    large_unary: (client) => large(client),
    client_compressed_unary: clientCompressedUnary,
    server_compressed_unary: serverCompressedUnary,
    client_streaming: clientStreaming,
    client_compressed_streaming: clientCompressedStreaming,
    server_streaming: serverStreaming,
    server_compressed_streaming: serverCompressedStreaming,
    ping_pong: pingPong,
    empty_stream: emptyStream,
    custom_metadata: customMetadata,
    status_code_and_message: statusCodeAndMessage,
    special_status_message: specialStatusMessage,
    unimplemented_method: unimplementedMethod,
    unimplemented_service: unimplementedService,
    cancel_after_begin: cancelAfterBegin,
    cancel_after_first_response: cancelAfterFirstResponse,
    timeout_on_sleeping_server: timeoutOnSleepingServer,
    spaces_at_the_ends: spacesAtTheEnds,
    waits_for_headers: waitsForHeaders,
  },
};
