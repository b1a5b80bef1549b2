//! One HTTP/2 connection. [`engine::Engine`] holds its state. Each module beside it either adds methods to the engine
//! for one concern or owns one part of the state.
//!
//! | module | what it holds |
//! |---|---|
//! | `engine` | the state of a connection, its start and its preface |
//! | `poll`, `events` | what the caller has to do next; the events that the caller has not polled yet |
//! | **bytes in** | |
//! | `receive` | the preface, frame boundaries, the order of frames, the work limit of one turn |
//! | `recv_headers`, `requests`, `responses` | complete header blocks, as a server and as a client receives them |
//! | `data` | DATA frames and the messages in them |
//! | `control` | SETTINGS, PING, GOAWAY, RST_STREAM |
//! | **commands of the caller** | |
//! | `calls` | starts a call, sends its messages, ends it |
//! | `recv` | hands a call's messages and its end to the caller |
//! | **bytes out** | |
//! | `scheduler`, `send_headers` | picks the next call to write; writes header blocks |
//! | `send_queue`, `send_space` | the queued messages of one call; whether it may queue more |
//! | `outbox`, `output_limits`, `replies` | bytes that wait for the transport; their limits; those that the peer caused |
//! | **what both directions share** | |
//! | `flow`, `bdp` | windows and credit; the measurement of the path that sizes the windows |
//! | `memory`, `shortage` | memory held and window credit granted; which calls wait and which are ended when memory is short |
//! | `audit`, `audit_waiting` | check the accounting of memory and of credit, and everything that waits, after every step, in builds with debug assertions |
//! | `abuse`, `bucket` | the limits on useless work; the token buckets that count it |
//! | `end`, `input_end` | every way in which a call or the connection ends; the end of the transport |
//! | `timeouts`, `timers`, `deadlines` | what happens when a timer fires; the connection's timers; the calls' deadlines |
//! | **the table of calls** | |
//! | `stream`, `slots` | one call; all of them |
//! | `ids`, `queues` | calls by stream id, and ids that are closed; queues of calls |
//! | **header blocks** | |
//! | `block_reader`, `block_reader_cache` | decodes header blocks; caches those that repeat |
//! | `block_writer`, `block_writer_cache` | encodes header blocks; caches those that repeat |
//! | **small things** | |
//! | `peer_settings`, `role` | the peer's SETTINGS; which end this is |

mod abuse;
#[cfg(debug_assertions)]
mod audit;
#[cfg(debug_assertions)]
mod audit_waiting;
mod bdp;
mod block_reader;
mod block_reader_cache;
mod block_writer;
mod block_writer_cache;
mod bucket;
pub(crate) mod calls;
mod control;
mod data;
pub(crate) mod deadlines;
mod end;
pub(crate) mod engine;
mod events;
mod flow;
pub(crate) mod ids;
mod input_end;
pub(crate) mod memory;
pub(crate) mod outbox;
mod output_limits;
mod peer_settings;
pub(crate) mod poll;
mod queues;
pub(crate) mod receive;
mod recv;
mod recv_headers;
mod replies;
mod requests;
mod responses;
pub(crate) mod role;
mod scheduler;
mod send_headers;
mod send_queue;
mod send_space;
mod shortage;
mod slots;
mod stream;
mod timeouts;
pub(crate) mod timers;
