'use strict';
// The whole of grpc.testing.TestService. grpc-js servers compress no responses.

const { once } = require('node:events');

const grpc = require('@grpc/grpc-js');
const interceptors = require('@grpc/grpc-js/build/src/server-interceptors');

const { testing, ECHO_INITIAL, ECHO_TRAILING, zeros } = require('./testing');

const { status } = grpc;

// grpc-js tells nobody which requests had the compressed flag: their bytes get a mark, which the deserializer takes
// off. No message here ends with these bytes: an unknown field's key with nothing behind it.
const MARK = Buffer.from('7ffffffe78', 'hex');
const compressed = new WeakSet();

function noteCompressed() {
  const call = interceptors.BaseServerInterceptingCall.prototype;
  const decompress = call.decompressMessage;
  call.decompressMessage = async function (message, encoding) {
    const bytes = await decompress.call(this, message, encoding);
    return message.readUInt8(0) === 1 ? Buffer.concat([bytes, MARK]) : bytes;
  };
}

function markedDeserialize(deserialize) {
  return (bytes) => {
    const marked = bytes.subarray(-MARK.length).equals(MARK);
    const message = deserialize(marked ? bytes.subarray(0, -MARK.length) : bytes);
    if (marked) {
      compressed.add(message);
    }
    return message;
  };
}

/** The service's definition, with deserializers that know of the mark. */
function definition() {
  const methods = Object.entries(testing.TestService.service);
  return Object.fromEntries(
    methods.map(([name, method]) => [
      name,
      { ...method, requestDeserialize: markedDeserialize(method.requestDeserialize) },
    ]),
  );
}

class Refused extends Error {
  constructor(code, details) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

/** Sends the two well-known keys back: gives the trailing metadata, and sends the initial where there is any. */
function echoMetadata(call) {
  const trailing = new grpc.Metadata();
  for (const value of call.metadata.get(ECHO_TRAILING)) {
    trailing.add(ECHO_TRAILING, value);
  }
  const initial = new grpc.Metadata();
  for (const value of call.metadata.get(ECHO_INITIAL)) {
    initial.add(ECHO_INITIAL, value);
  }
  if (call.metadata.get(ECHO_INITIAL).length > 0) {
    call.sendMetadata(initial);
  }
  return trailing;
}

function echoStatus(wanted) {
  if (!wanted || wanted.code === 0) {
    return;
  }
  if (wanted.code < 0 || wanted.code > 16) {
    throw new Refused(status.INVALID_ARGUMENT, `no status code ${wanted.code}`);
  }
  throw new Refused(wanted.code, wanted.message);
}

function expectCompressed(message) {
  if (message.expect_compressed && message.expect_compressed.value !== compressed.has(message)) {
    throw new Refused(status.INVALID_ARGUMENT, `a message came with the flag ${compressed.has(message)}`);
  }
}

function payload(kind, size) {
  if (kind !== 0) {
    throw new Refused(status.INVALID_ARGUMENT, `no payload type ${kind}`);
  }
  if (size < 0) {
    throw new Refused(status.INVALID_ARGUMENT, `a payload cannot have ${size} bytes`);
  }
  return zeros(size);
}

function unsupported(wanted) {
  if (wanted && wanted.value) {
    throw new Refused(status.UNIMPLEMENTED, 'grpc-js servers compress no responses');
  }
}

/** The requests of a call, which is not over when they are. */
function requests(call) {
  return call.iterator({ destroyOnReturn: false });
}

/** A handler of one response, made of a function that gives it or throws. */
function one(respond) {
  return (call, callback) => {
    const trailing = echoMetadata(call);
    Promise.resolve()
      .then(() => respond(call))
      .then(
        (response) => callback(null, response, trailing),
        ({ code, details }) => callback({ code, details, metadata: trailing }),
      );
  };
}

/** A handler of a stream of responses, made of a function that sends them. */
function many(respond) {
  return (call) => {
    const trailing = echoMetadata(call);
    respond(call).then(
      () => call.end(trailing),
      ({ code, details }) => call.emit('error', { code, details, metadata: trailing }),
    );
  };
}

async function unaryCall(call) {
  const { request } = call;
  expectCompressed(request);
  unsupported(request.response_compressed);
  echoStatus(request.response_status);
  return { payload: payload(request.response_type, request.response_size) };
}

async function streamingInputCall(call) {
  let total = 0;
  for await (const request of requests(call)) {
    expectCompressed(request);
    total += request.payload ? request.payload.body.length : 0;
  }
  return { aggregated_payload_size: total };
}

async function fullDuplexCall(call) {
  for await (const request of requests(call)) {
    await answer(call, request);
  }
}

async function halfDuplexCall(call) {
  const received = [];
  for await (const request of requests(call)) {
    received.push(request);
  }
  for (const request of received) {
    await answer(call, request);
  }
}

/** Sends what one request asks for. */
async function answer(call, request) {
  echoStatus(request.response_status);
  for (const wanted of request.response_parameters) {
    unsupported(wanted.compressed);
    if (wanted.interval_us > 0) {
      await pause(call, wanted.interval_us / 1000);
    }
    if (call.cancelled) {
      throw new Refused(status.CANCELLED, 'the call is over');
    }
    if (!call.write({ payload: payload(request.response_type, wanted.size) })) {
      await Promise.race([once(call, 'drain'), once(call, 'cancelled')]);
    }
  }
}

/** Waits, or ends with the call. */
function pause(call, milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    call.once('cancelled', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function cacheableUnaryCall(call, callback) {
  const header = new grpc.Metadata();
  header.set('cache-control', 'max-age=60, public');
  call.sendMetadata(header);
  callback(null, { payload: { type: 0, body: Buffer.from(String(process.hrtime.bigint())) } });
}

/** Serves on a port of 127.0.0.1 until SIGTERM. */
function serve(port) {
  noteCompressed();
  const server = new grpc.Server();
  server.addService(definition(), {
    EmptyCall: one(() => ({})),
    UnaryCall: one(unaryCall),
    CacheableUnaryCall: cacheableUnaryCall,
    StreamingInputCall: one(streamingInputCall),
    StreamingOutputCall: many((call) => answer(call, call.request)),
    FullDuplexCall: many(fullDuplexCall),
    HalfDuplexCall: many(halfDuplexCall),
  });
  server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, bound) => {
    if (error) {
      console.error(`error: ${error.message}`);
      process.exit(1);
    }
    console.log(`LISTENING ${bound}`);
  });
  process.on('SIGTERM', () => server.tryShutdown(() => process.exit(0)));
}

module.exports = { serve };
