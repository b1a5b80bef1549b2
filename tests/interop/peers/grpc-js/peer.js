'use strict';
// The interop server and client on grpc-js, with the command lines of the other peers:
//
//   node peer.js server --port 0          prints `LISTENING <port>`; SIGTERM stops it gracefully
//   node peer.js client --server_port P --test_case ping_pong,...
//
// NODE_PATH names the place of the packages that package-lock.json pins. The client prints `PASS name` or
// `FAIL name: why` for each case and exits 0 only when all passed.

const { parseArgs } = require('node:util');

const { session } = require('./calls');
const { cases } = require('./cases');
const { loads } = require('./loads');
const { serve } = require('./service');

async function run(target, name) {
  if (!(name in cases) && !(name in loads)) {
    throw new Error('no such case');
  }
  return session(target, (client) => (cases[name] || loads[name])(client, target));
}

async function call(options) {
  const target = {
    address: `${options.server_host}:${options.server_port}`,
    calls: Number(options.calls),
    at_once: Number(options.at_once),
    seconds: Number(options.seconds),
  };
  let failed = 0;
  for (const name of options.test_case.split(',')) {
    try {
      console.log(`PASS ${name}: ${(await run(target, name)) || ''}`);
    } catch (error) {
      failed++;
      console.log(`FAIL ${name}: ${error.message}`);
    }
  }
  // What a failed case has left open is of no interest any more.
  process.exit(failed > 0 ? 1 : 0);
}

const [command, ...args] = process.argv.slice(2);
const text = (value) => ({ type: 'string', default: value });
if (command === 'server') {
  serve(parseArgs({ args, options: { port: text('0') } }).values.port);
} else if (command === 'client') {
  const options = {
    server_host: text('127.0.0.1'),
    server_port: text(''),
    test_case: text('large_unary'),
    calls: text('1000'),
    at_once: text('1'),
    seconds: text('1'),
  };
  call(parseArgs({ args, options }).values);
} else {
  console.error('error: say server or client first');
  process.exit(2);
}
