//! Every order of inputs, at depths that take seconds; the campaign binary goes deeper.

use halfclose_sim::exhaust::{SHAPES, pair};

#[test]
fn every_order_of_a_client_a_server_and_the_network_between() {
    for shape in SHAPES {
        let count = pair::enumerate(shape, 2, 9)
            .unwrap_or_else(|(breach, sequence)| panic!("{shape:?}: {breach:?}\n{sequence:?}"));
        println!("{shape:?}: {count:?}");
        assert!(count.states > 1_000, "{count:?}");
    }
}
