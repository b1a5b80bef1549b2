'use strict';
// Cases under load: each takes a client on a connection of its own, and the target, and says what it has seen.

const { once } = require('node:events');

const grpc = require('@grpc/grpc-js');

const { cancelled, outOfTime } = require('./cases');
const { Responses, check, duplex, duplexRequest, failsWith, large, limited, session, small } = require('./calls');

const { status } = grpc;
// The deadline of calls that are all made at once: more than any peer needs for all of them.
const AT_ONCE_LIMIT = 80_000;
const SOAK = 100;
const SOAK_LIMIT = 1000;
// Bytes of the payload's body in a message of ten bytes.
const TINY = 6;
// Messages that are sent, and asked for, of each call that ends early.
const UNDER_WAY = 400;
const STALLED = 20;
const STALLED_SIZE = 1 << 20;
const BESIDE = 200;

/** Runs `one` for each number below `calls`, `atOnce` of them at a time; all of them, whichever fail. */
async function inParallel(atOnce, calls, one) {
  let next = 0;
  const failures = [];
  const worker = async () => {
    while (next < calls) {
      const number = next++;
      await one(number).catch((error) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, calls) }, worker));
  check(
    failures.length === 0,
    `${failures.length} of ${calls} calls failed, the first: ${failures.length && failures[0].message}`,
  );
}

/** A load of calls, that says how long they took. */
function calls(one, atOnce) {
  return async (client, target) => {
    const began = Date.now();
    await inParallel(atOnce || target.at_once, target.calls, (number) => one(client, number));
    return `${target.calls} calls in ${((Date.now() - began) / 1000).toFixed(1)} s`;
  };
}

async function soak(one) {
  let slowest = 0;
  for (let number = 0; number < SOAK; number++) {
    const began = Date.now();
    await one();
    slowest = Math.max(slowest, Date.now() - began);
  }
  check(slowest <= SOAK_LIMIT, `a call took ${slowest} ms`);
  return `slowest call ${slowest} ms`;
}

async function concurrentLargeUnary(client) {
  await inParallel(1000, 1000, () => large(client, undefined, AT_ONCE_LIMIT));
  return '';
}

async function longBidi(client, target) {
  const messages = Math.floor(target.calls / target.at_once);
  await inParallel(target.at_once, target.at_once, async () => {
    const { call, responses } = duplex(client, { limit: 60_000 });
    for (let number = 0; number < messages; number++) {
      call.write(duplexRequest(10, 10));
      await responses.next(10);
    }
    call.end();
    await responses.ended();
  });
  return `${target.at_once} streams of ${messages}`;
}

/** Sends messages of ten bytes until all are sent or the call has ended. */
async function keepSending(call, over) {
  for (let number = 0; number < UNDER_WAY && !over(); number++) {
    call.write(duplexRequest(TINY));
    if (number % 16 === 15) {
      await new Promise(setImmediate);
    }
  }
}

async function endedEarly(client) {
  const { call, responses } = duplex(client);
  let over = false;
  responses.status.then(() => {
    over = true;
  });
  call.write({ response_status: { code: status.FAILED_PRECONDITION, message: 'early' } });
  await keepSending(call, () => over);
  await failsWith(responses.receive(), status.FAILED_PRECONDITION, 'early');
}

async function droppedEarly(client) {
  const { call, responses } = duplex(client);
  let over = false;
  call.write(duplexRequest(0, ...Array(UNDER_WAY).fill(TINY)));
  const sending = keepSending(call, () => over);
  for (let number = 0; number < 3; number++) {
    await responses.next(TINY);
  }
  over = true;
  call.cancel();
  await sending;
}

async function mixedEnds(client, target) {
  const until = Date.now() + 1000 * target.seconds;
  let well = 0;
  let badly = 0;
  await inParallel(target.at_once, target.at_once, async (first) => {
    for (let number = first; Date.now() < until; number++) {
      if (number % 5 !== 0) {
        await small(client);
        well++;
        continue;
      }
      await (number % 2 === 0 ? outOfTime(client, 10) : cancelled(client));
      badly++;
    }
  });
  return `${well} calls ended well, ${badly} were cancelled or out of time`;
}

async function stalledDownloads(client) {
  const stalled = [];
  for (let number = 0; number < STALLED; number++) {
    const request = duplexRequest(0, STALLED_SIZE, STALLED_SIZE);
    const responses = new Responses(client.StreamingOutputCall(request, new grpc.Metadata(), limited(20_000)));
    await responses.header;
    stalled.push(responses);
  }
  const said = await smallCalls(client);
  for (const responses of stalled) {
    await responses.next(STALLED_SIZE);
    await responses.next(STALLED_SIZE);
    await responses.ended();
  }
  return said;
}

async function stalledUploads(client) {
  for (let number = 0; number < STALLED; number++) {
    const { call, responses } = duplex(client, { limit: 20_000 });
    // The handler answers once, and is busy with its second answer then.
    const request = duplexRequest(0, 1, 1);
    request.response_parameters[1].interval_us = 30_000_000;
    call.write(request);
    await responses.next(1);
    (async () => {
      while (!call.destroyed) {
        if (!call.write(duplexRequest(STALLED_SIZE))) {
          await once(call, 'drain');
        }
      }
    })().catch(() => {});
  }
  return smallCalls(client);
}

/** Makes the small calls, and says how long they took. */
async function smallCalls(client) {
  const took = [];
  for (let number = 0; number < BESIDE; number++) {
    const began = process.hrtime.bigint();
    await small(client);
    took.push(Number(process.hrtime.bigint() - began) / 1e6);
  }
  took.sort((a, b) => a - b);
  return `p50 ${took[BESIDE / 2].toFixed(1)} ms, worst ${took[BESIDE - 1].toFixed(1)} ms`;
}

module.exports = {
  loads: {
    concurrent_large_unary: concurrentLargeUnary,
    rpc_soak: (client) => soak(() => large(client)),
    channel_soak: (_, target) => soak(() => session(target, (client) => large(client))),
    many_unary: calls(small, 1),
    long_bidi: longBidi,
    ended_early: calls(endedEarly),
    dropped_early: calls(droppedEarly),
    expired_deadlines: calls((client, number) => outOfTime(client, 20 + (number % 40))),
    mixed_ends: mixedEnds,
    stalled_downloads: stalledDownloads,
    stalled_uploads: stalledUploads,
  },
};
