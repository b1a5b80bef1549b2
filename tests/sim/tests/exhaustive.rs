//! Every order of inputs, at depths that take seconds; the campaign binary goes deeper.

use halfclose_sim::Side;
use halfclose_sim::exhaust::{SHAPES, one, pair};

#[test]
fn every_order_of_a_client_a_server_and_the_network_between() {
    for shape in SHAPES {
        let count = pair::enumerate(shape, 2, 9)
            .unwrap_or_else(|(breach, sequence)| panic!("{shape:?}: {breach:?}\n{sequence:?}"));
        println!("{shape:?}: {count:?}");
        assert!(count.states > 1_000, "{count:?}");
    }
}

#[test]
fn every_order_of_frames_and_orders_to_one_core() {
    // A server's first inputs only open the call, and most of its calls are over soon.
    for (side, depth) in [(Side::Client, 4), (Side::Server, 6)] {
        for shape in SHAPES {
            let count = one::enumerate(side, shape, depth)
                .unwrap_or_else(|(breach, sequence)| panic!("{side:?} {shape:?}: {breach:?}\n{sequence:?}"));
            println!("{side:?} {shape:?}: {count:?}");
            assert!(count.sequences > 20_000, "{count:?}");
        }
    }
}
