'use strict';
// grpc.testing from the .proto files, and the messages that many cases use.

const path = require('node:path');

const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const PROTO = path.join(__dirname, '..', '..', 'proto');
const definition = loader.loadSync('grpc/testing/test.proto', {
  includeDirs: [PROTO],
  keepCase: true,
  defaults: true,
  longs: Number,
});
const { testing } = grpc.loadPackageDefinition(definition).grpc;

const ECHO_INITIAL = 'x-grpc-test-echo-initial';
const ECHO_TRAILING = 'x-grpc-test-echo-trailing-bin';

/** A payload of so many bytes. */
function zeros(size) {
  return { type: 0, body: Buffer.alloc(size) };
}

module.exports = { testing, ECHO_INITIAL, ECHO_TRAILING, zeros };
