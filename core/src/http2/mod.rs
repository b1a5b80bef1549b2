//! One HTTP/2 connection. [`engine::Engine`] holds the state; the modules beside it hold its methods, one concern each, or
//! one part of the state with its own methods.
//!
//! | module | what it holds |
//! |---|---|
//! | `engine` | the state of a connection, its start and its preface |
//! | `poll`, `events` | what the caller is to do next; the events that it has not heard yet |
//! | **bytes in** | |
//! | `receive` | the preface, frame boundaries, the order of frames, the work of one turn |
//! | `recv_headers`, `requests`, `responses` | whole header blocks, as a server and as a client takes them |
//! | `data` | DATA frames and the messages in them |
//! | `control` | SETTINGS, PING, GOAWAY, RST_STREAM |
//! | **commands of the caller** | |
//! | `calls` | starts a call, sends its messages, ends it |
//! | `recv` | takes the messages of a call and its end |
//! | **bytes out** | |
//! | `scheduler`, `send_headers` | whose turn it is; when header blocks go out |
//! | `send_queue`, `send_space` | the messages of one call that wait; when it may queue more |
//! | `outbox`, `output_limits`, `replies` | bytes that wait for the transport; how many may; those that the peer called for |
//! | **what both directions share** | |
//! | `flow`, `bdp` | credit and windows; how far windows grow |
//! | `memory`, `shortage` | what is held and what was granted; who waits and who gives way when it is short |
//! | `audit` | what must hold of memory after every step, in builds with debug assertions |
//! | `abuse`, `bucket` | the limits on useless work; the rates that they are counted in |
//! | `end`, `input_end` | every way in which a call or the connection ends; the end of the transport |
//! | `timeouts`, `timers`, `deadlines` | what is done when time has passed; the timers of the connection; those of calls |
//! | **the table of calls** | |
//! | `stream`, `slots` | one call; all of them |
//! | `ids`, `queues` | calls by stream id, and ids that are closed; queues of calls |
//! | **header blocks** | |
//! | `block_reader`, `block_reader_cache` | decodes header blocks, and knows those that repeat |
//! | `block_writer`, `block_writer_cache` | encodes header blocks, and knows those that repeat |
//! | **small things** | |
//! | `peer_settings`, `role` | the peer's SETTINGS; which end this is |

mod abuse;
#[cfg(debug_assertions)]
mod audit;
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
