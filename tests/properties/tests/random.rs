//! Every property on random bytes: a few seconds of what the fuzz targets do for hours.

use halfclose_properties::PROPERTIES;
use proptest::collection::vec;
use proptest::prelude::*;

/// Returns bytes that have a meaning in one format or another, among bytes that have none.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 0..0x50_u8, 2 => any::<u8>(), 1 => Just(0xff), 1 => Just(0x82), 1 => Just(b'\n')]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_property_holds_on_random_bytes(data in vec(byte(), 0..400)) {
        for (_, property) in PROPERTIES {
            property(&data);
        }
    }
}
