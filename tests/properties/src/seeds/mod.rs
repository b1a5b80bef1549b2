//! The generator of the committed corpora: few and small inputs that together reach every part of what a target
//! reads. They are sessions between two real cores, the examples of the RFCs, and cases made by hand.

mod by_hand;
mod sessions;

/// An input and its name.
pub type Seed = (String, Vec<u8>);

/// The seeds of a target, named as in [`PROPERTIES`](crate::PROPERTIES).
#[must_use]
pub fn of(target: &str) -> Vec<Seed> {
    let mut seeds = match target {
        "frame_decode" => by_hand::frames().into_iter().chain(sessions::both_ways(&[])).collect(),
        "hpack_decode" => by_hand::blocks(&[128, 64, 64]),
        "hpack_differential" => by_hand::blocks(&[]),
        "hpack_round_trip" => by_hand::orders(),
        "message_decode" => by_hand::messages(),
        "text_codecs" => by_hand::texts(),
        "metadata_and_heads" => by_hand::fields(),
        "server_connection" => habits(&sessions::from_client()),
        "client_connection" => habits(&sessions::from_server()),
        "server_dialogue" => by_hand::server_scripts(),
        "client_dialogue" => by_hand::client_scripts(),
        "chunking" => {
            let server =
                sessions::from_client().into_iter().map(|(name, wire)| with(&name, &[0, 6, 40], &wire));
            let client =
                sessions::from_server().into_iter().map(|(name, wire)| with(&name, &[0x80, 2, 8], &wire));
            server.chain(client).collect()
        }
        "client_server" => by_hand::programs(),
        _ => Vec::new(),
    };
    seeds.sort();
    seeds
}

/// Returns a seed preceded by bytes that say how it is used.
fn with(name: &str, front: &[u8], wire: &[u8]) -> Seed {
    (format!("{name}-{:02x}", front[0]), [front, wire].concat())
}

/// Returns each session for callers of different habits, with wide and with narrow limits, in one piece and in small
/// ones.
fn habits(sessions: &[Seed]) -> Vec<Seed> {
    let habits = [[0x20, 0, 0], [0x67, 1, 3], [0x90, 2, 4], [0x34, 3, 9], [0xb3, 0, 17]];
    let each = |(name, wire): &Seed| habits.map(|habit| with(name, &habit, wire));
    sessions.iter().flat_map(each).collect()
}
