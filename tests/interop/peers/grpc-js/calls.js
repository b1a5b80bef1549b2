'use strict';
// Calls as promises, and the checks that the cases share.

const grpc = require('@grpc/grpc-js');

const { testing, zeros } = require('./testing');

const CALL_LIMIT = 25_000;
const LARGE_REQUEST = 271828;
const LARGE_RESPONSE = 314159;
const UPLOAD_SIZES = [27182, 8, 1828, 45904];
const DOWNLOAD_SIZES = [31415, 9, 2653, 58979];

// grpc-js's write flag.
const NO_COMPRESS = 2;

// Messages that go out uncompressed although their call compresses.
const uncompressed = new WeakSet();

class PerMessage extends grpc.InterceptingCall {
  sendMessageWithContext(context, message) {
    const flags = uncompressed.has(message) ? NO_COMPRESS : 0;
    super.sendMessageWithContext({ ...context, flags }, message);
  }
}

/** A client on a connection of its own. */
function connect(target, { gzip = false, service = 'TestService' } = {}) {
  return new testing[service](target.address, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    ...(gzip ? { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip } : {}),
    interceptors: [(options, next) => new PerMessage(next(options))],
  });
}

/** Runs `body` with a client, and closes its connection. */
async function session(target, body, options) {
  const client = connect(target, options);
  try {
    return await body(client);
  } finally {
    client.close();
  }
}

function limited(milliseconds = CALL_LIMIT) {
  return { deadline: Date.now() + milliseconds };
}

/** A unary call: its response and both kinds of metadata, or the error that it ended with. */
function unary(client, method, request, { metadata = new grpc.Metadata(), limit = CALL_LIMIT } = {}) {
  return new Promise((resolve, reject) => {
    const seen = {};
    const call = client[method](request, metadata, limited(limit), (error, response) => {
      seen.error = error;
      seen.response = response;
    });
    call.on('metadata', (header) => {
      seen.header = header;
    });
    call.on('status', ({ metadata: trailer }) => {
      const { error, response, header } = seen;
      if (error) {
        reject(Object.assign(error, { header }));
      } else {
        resolve({ response, header, trailer });
      }
    });
  });
}

/** Receives the responses of a call one by one, and knows its end. */
class Responses {
  constructor(call) {
    this.call = call;
    this.messages = call[Symbol.asyncIterator]();
    this.status = new Promise((resolve) => call.once('status', resolve));
    this.header = new Promise((resolve) => call.once('metadata', resolve));
    // Whoever receives hears of the error; nobody else needs to.
    call.on('error', () => {});
  }

  /** The next response, or null when the call ended well. */
  async receive() {
    // An error that came before anybody received is not the iterator's.
    const { value, done } = await this.messages.next().catch(() => ({ done: true }));
    if (!done) {
      return value;
    }
    const { code, details, metadata } = await this.status;
    if (code !== grpc.status.OK) {
      throw Object.assign(new Error(`${code} ${grpc.status[code]}: ${details}`), { code, details, metadata });
    }
    return null;
  }

  /** Receives a response that must be there and have this size. */
  async next(size) {
    const response = await this.receive();
    check(response, 'fewer responses than were asked for');
    checkBody(response, size);
  }

  /** The call ends well now, without another response. */
  async ended() {
    check((await this.receive()) === null, 'more responses than were asked for');
  }
}

function duplex(client, { metadata = new grpc.Metadata(), limit = CALL_LIMIT } = {}) {
  const call = client.FullDuplexCall(metadata, limited(limit));
  return { call, responses: new Responses(call) };
}

function check(holds, otherwise) {
  if (!holds) {
    throw new Error(otherwise);
  }
}

function equal(what, got, want) {
  check(Object.is(got, want), `${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

function checkBody(response, size) {
  const body = response.payload ? response.payload.body : Buffer.alloc(0);
  equal('bytes in the payload', body.length, size);
  check(body.equals(Buffer.alloc(size)), 'the payload is not all zeros');
}

/** The call must fail with this code, and this message where one is given. */
async function failsWith(promise, code, message) {
  let failed;
  try {
    await promise;
  } catch (error) {
    failed = error;
  }
  check(failed, `the call succeeded, want ${grpc.status[code]}`);
  if (failed.code !== code) {
    throw new Error(`got ${failed.message}, want ${grpc.status[code]}`);
  }
  if (message !== undefined) {
    equal('status message', failed.details, message);
  }
  return failed;
}

function largeRequest(more = {}) {
  return { response_size: LARGE_RESPONSE, payload: zeros(LARGE_REQUEST), ...more };
}

/** A request for responses of these sizes, with a payload. */
function duplexRequest(size, ...responses) {
  return {
    response_parameters: responses.map((bytes) => ({ size: bytes })),
    ...(size > 0 ? { payload: zeros(size) } : {}),
  };
}

async function large(client, request = largeRequest(), limit = CALL_LIMIT) {
  const { response } = await unary(client, 'UnaryCall', request, { limit });
  checkBody(response, LARGE_RESPONSE);
}

/** A call of one byte each way, which nothing may hold up. */
async function small(client) {
  const request = { response_size: 1, payload: zeros(1) };
  const { response } = await unary(client, 'UnaryCall', request, { limit: 5000 });
  checkBody(response, 1);
}

module.exports = {
  CALL_LIMIT,
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
  small,
  unary,
  uncompressed,
};
