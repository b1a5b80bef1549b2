//! Every order of inputs, at depths that take seconds; the campaign binary goes deeper.

use halfclose_sim::Side;
use halfclose_sim::exhaust::{SHAPES, one, pair};

#[test]
fn every_order_of_a_client_a_server_and_the_network_between() {
    for call_type in SHAPES {
        let count = pair::enumerate(call_type, 2, 9)
            .unwrap_or_else(|(breach, sequence)| panic!("{call_type:?}: {breach:?}\n{sequence:?}"));
        println!("{call_type:?}: {count:?}");
        assert!(count.states > 1_000, "{count:?}");
    }
}

#[test]
fn every_order_of_frames_and_orders_to_one_core() {
    // A server's first inputs only open the call, and most of its calls end soon.
    for (side, depth) in [(Side::Client, 4), (Side::Server, 6)] {
        for call_type in SHAPES {
            let count = one::enumerate(side, call_type, depth).unwrap_or_else(|(breach, sequence)| {
                panic!("{side:?} {call_type:?}: {breach:?}\n{sequence:?}")
            });
            println!("{side:?} {call_type:?}: {count:?}");
            assert!(count.sequences > 20_000, "{count:?}");
        }
    }
}
