//! Memory under attack.

fn main() {}
