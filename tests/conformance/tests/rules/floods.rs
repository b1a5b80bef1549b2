//! P-106: excess that ends the connection at once. `tests/security` has the attacks in full.

use halfclose::Rate;
use halfclose::frame::ErrorCode;
use halfclose_conformance::Expect::Connection;
use halfclose_conformance::cases;
use halfclose_wire::kind::{CONTINUATION, HEADERS};
use halfclose_wire::{
    END_STREAM, REQUEST, RESPONSE, block, data, frame, headers, ping, reset, settings, update,
};

const CALM: ErrorCode = ErrorCode::ENHANCE_YOUR_CALM;

/// A fixed number without refill, so that the result does not depend on a clock.
const FEW: Rate = Rate { burst: 10, per_second: 0 };

/// Returns HEADERS and `count` CONTINUATION frames, which do not end the block.
fn continuations(count: usize) -> Vec<u8> {
    [frame(HEADERS, END_STREAM, 1, &[]), frame(CONTINUATION, 0, 1, &[]).repeat(count)].concat()
}

/// Returns requests that are reset at once.
fn rapid_resets(count: u32) -> Vec<u8> {
    let one = |stream| [headers(stream, 0, &block(&REQUEST)), reset(stream, ErrorCode::CANCEL)].concat();
    (0..count).flat_map(|number| one(2 * number + 1)).collect()
}

/// Returns malformed requests, each of which the server resets.
fn malformed(count: u32) -> Vec<u8> {
    (0..count).flat_map(|number| headers(2 * number + 1, 0, &block(&[("x", "y")]))).collect()
}

cases! {
    /// Floods of either side.
    both of [server client] {
        p106_continuations "nine CONTINUATION frames" Open continuations(9) => Connection(CALM);
        p106_settings_entries "33 settings in one frame" Settings settings(&[(0xf0, 1); 33]) => Connection(CALM);
        p106_a_header_list_bomb "a header list of 66,000 bytes in 8,000" Open
            headers(1, END_STREAM, &block(&[("x", ""); 2_000])) => Connection(CALM);
        p106_settings "SETTINGS, again and again" Settings
            @(|config| config.limits.control_frames = FEW)
            settings(&[]).repeat(12) => Connection(CALM);
        p106_pings "PING, again and again" Settings
            @(|config| config.limits.control_frames = FEW)
            ping(b"flooding").repeat(12) => Connection(CALM);
        p106_unknown_frames "frames of an unknown type, again and again" Settings
            @(|config| config.limits.glitches = FEW)
            frame(0xbe, 0, 0, &[]).repeat(12) => Connection(CALM);
    }
}

cases! {
    /// Floods of a client.
    to_a_server of [server] {
        p106_rapid_reset "calls that are reset at once, again and again" Settings
            @(|config| config.limits.resets = FEW)
            rapid_resets(12) => Connection(CALM);
        p106_malformed_requests "malformed requests, again and again" Settings
            @(|config| config.limits.internal_resets = FEW)
            malformed(12) => Connection(CALM);
        p106_updates_of_a_closed_stream "WINDOW_UPDATE of a closed stream, again and again" Open
            @(|config| config.limits.glitches = FEW)
            [reset(1, ErrorCode::CANCEL), update(1, 1).repeat(20)].concat() => Connection(CALM);
        p106_empty_data "empty DATA frames, again and again" Open
            @(|config| config.limits.empty_data = FEW)
            data(1, 0, b"").repeat(12) => Connection(CALM);
    }
}

cases! {
    /// Floods of a server.
    to_a_client of [client] {
        p106_interim_responses "100, again and again" HalfClosed
            @(|config| config.limits.glitches = FEW)
            headers(1, 0, &block(&[(":status", "100")])).repeat(12) => Connection(CALM);
        p106_empty_data "empty DATA frames, again and again" HalfClosed
            @(|config| config.limits.empty_data = FEW)
            [headers(1, 0, &block(&RESPONSE)), data(1, 0, b"").repeat(12)].concat() => Connection(CALM);
    }
}
