//! Seeds written by hand: examples of the RFCs, edge cases, and one of each step of a script.

use halfclose::frame::{Flags, FrameHeader, FrameType, StreamId};
use halfclose::grpc::compress::Codecs;

use super::Seed;

fn seed(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Seed {
    (name.into(), bytes.into())
}

/// Returns one frame of each kind, plain and with every flag.
pub(super) fn frames() -> Vec<Seed> {
    let payloads: [(u8, &[u8]); 11] = [
        (0, b"\x02data\0\0"),
        (1, b"\x01\0\0\0\x03\x10\x82\x84\0"),
        (2, b"\x80\0\0\x03\x10"),
        (3, b"\0\0\0\x08"),
        (4, b"\0\x04\0\0\xff\xff\0\x05\0\0\x40\0"),
        (5, b"\x01\0\0\0\x02\x82\0"),
        (6, b"deadbeef"),
        (7, b"\x7f\xff\xff\xff\0\0\0\x0bcalm"),
        (8, b"\x7f\xff\xff\xff"),
        (9, b"\x82\x86"),
        (0xfa, b"grease"),
    ];
    let one = |(kind, payload): (u8, &[u8]), flags: u8| {
        let mut wire = Vec::new();
        let stream = if matches!(kind, 4 | 6 | 7) { 0 } else { 1 };
        let length = u32::try_from(payload.len()).expect("short");
        FrameHeader {
            length,
            kind: FrameType::from(kind),
            flags: Flags(flags),
            stream: StreamId::new(stream),
        }
        .write(&mut wire);
        wire.extend_from_slice(payload);
        seed(format!("kind-{kind:02x}-{flags:02x}"), wire)
    };
    payloads.into_iter().flat_map(|payload| [one(payload, 0), one(payload, 0x2d)]).collect()
}

/// Returns pieces, each preceded by its length.
fn pieces(front: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = front.to_vec();
    for part in parts {
        bytes.push(u8::try_from(part.len()).ok().filter(|length| *length < 255).expect("a short piece"));
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Returns RFC 7541, appendix C: three requests and three responses on one connection, plain and Huffman-coded; then
/// edge cases.
pub(super) fn blocks(front: &[u8]) -> Vec<Seed> {
    let requests_plain: [&[u8]; 3] = [
        b"\x82\x86\x84\x41\x0fwww.example.com",
        b"\x82\x86\x84\xbe\x58\x08no-cache",
        b"\x82\x87\x85\xbf\x40\x0acustom-key\x0ccustom-value",
    ];
    let requests_coded: [&[u8]; 3] = [
        b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
        b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
        b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf",
    ];
    let edges: [(&str, &[u8]); 9] = [
        ("sizes", b"\x20\x3f\xe1\x1f\x82"),
        ("never", b"\x10\x08password\x06secret"),
        ("without", b"\x04\x0c/sample/path"),
        ("index-0", b"\x80"),
        ("index-over", b"\xff\x00"),
        ("late-update", b"\x82\x20"),
        ("truncated", b"\x3f"),
        ("long-integer", b"\xff\x80\x80\x80\x80\x80\x01"),
        ("padding", b"\x40\x81\x00\x81\xff"),
    ];
    let mut seeds: Vec<_> =
        edges.iter().map(|(name, block)| seed(*name, pieces(front, &[block, requests_plain[0]]))).collect();
    seeds.push(seed("c3-plain", pieces(front, &requests_plain)));
    seeds.push(seed("c4-huffman", pieces(front, &requests_coded)));
    seeds.push(seed("evictions", pieces(front, &[&[b'\x40', 1, b'a', 1, b'b'].repeat(30), b"\xbe\xbf\xc0"])));
    seeds
}

/// Returns commands to an encoder: fields of each kind, new sizes, the end of a block.
pub(super) fn orders() -> Vec<Seed> {
    let fields: [&[u8]; 6] = [b"\0/a/b", b"\0/a/b", b"\x04200", b"\x9fnamevalue", b"\x02secret", b""];
    let sizes: [&[u8]; 5] = [b"\0/a/b", b"\xfe\0\0\x10\0", b"\0/a/b", b"\xfd", b"\xfe\x01\0"];
    vec![
        seed("fields", pieces(&[128, 128], &fields)),
        seed("sizes", pieces(&[128, 4], &sizes)),
        seed("no-table", pieces(&[0, 0], &fields)),
        seed("evictions", pieces(&[3, 128], &[b"\0one", b"\0two", b"", b"\0three", b"\0one", b""])),
    ]
}

/// Returns messages of each encoding, whole, and faults of a prefix.
pub(super) fn messages() -> Vec<Seed> {
    let framed = |flag: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&[flag][..], &length, payload].concat()
    };
    let mut seeds = Vec::new();
    for (number, name) in [(0, "gzip"), (1, "deflate"), (2, "zstd")] {
        let mut packed = Vec::new();
        let codecs = Codecs::builtin();
        let codec = codecs.get(name.as_bytes()).expect("features are on");
        codec.compress(&b"tell me and tell me ".repeat(10), &mut packed).expect("works");
        let content = [framed(1, &packed), framed(0, b"plain"), framed(1, b"")].concat();
        seeds.push(seed(name, [&[number, 255, 4, 7, 3][..], &content].concat()));
        seeds.push(seed(format!("{name}-whole"), [&[number, 255, 1, 0, 0][..], &content].concat()));
    }
    seeds.push(seed("flag", [&[0, 255, 0, 1, 2][..], &framed(2, b"x")].concat()));
    seeds.push(seed("too-large", [&[0, 3, 0, 0x80, 2][..], &framed(0, b"four")].concat()));
    seeds.push(seed("cut", [&[0, 255, 0, 2, 1][..], b"\0\0\0\0\x09half"].concat()));
    seeds
}

pub(super) fn texts() -> Vec<Seed> {
    let texts: [&[u8]; 14] = [
        b"99999999H",
        b"1S",
        b"0n",
        b"123456789m",
        b"50 %25%0A%e2%98%ba %zz%",
        b"AAEC",
        b"AAE=",
        b"AA==",
        b"A_-",
        b"identity, gzip,zstd",
        b"application/grpc+proto;x=y",
        b"/pkg.Service/Method",
        b"16",
        b"\xe2\x98\xba\xff",
    ];
    let name = |text: &&[u8]| text.escape_ascii().to_string().replace(['/', '\\', '%', ' ', ';', ','], "_");
    texts.iter().map(|text| seed(format!("text-{}", name(text)), *text)).collect()
}

pub(super) fn fields() -> Vec<Seed> {
    let call =
        ":method POST\n:scheme http\n:path /a.B/C\n:authority x\nte trailers\ncontent-type application/grpc";
    let more =
        "\ngrpc-timeout 1S\ngrpc-encoding gzip\ngrpc-accept-encoding gzip,br\nx-a b\nx-b-bin AAEC,AA==";
    let answer = ":status 200\ncontent-type application/grpc\nx-a b\nx-a c";
    let trailers = "grpc-status 5\ngrpc-message no%20such\ngrpc-status-details-bin AAEC\nx-sum-bin AQ";
    let wrong = ":path /\nUpper x\nx \nconnection close\nte gzip\n:late x\ncontent-length 7x\n:status 101";
    let own = "authorization secret\nx-_.9 ~\ngrpc-trace-bin AAAA\nhost h\nuser-agent me";
    [
        ("call", call, more),
        ("answer", answer, ""),
        ("trailers", trailers, ""),
        ("wrong", wrong, ""),
        ("own", own, ""),
    ]
    .map(|(name, one, two)| seed(name, [b"\xff", one.as_bytes(), two.as_bytes()].concat()))
    .into_iter()
    .chain([seed("narrow", [b"\x08", call.as_bytes()].concat())])
    .collect()
}

/// A script: its name, its first bytes, its steps.
type Script<'a> = (&'a str, &'a [u8], &'a [&'a [u8]]);

/// Returns scripts for a server: a good call, faults, every command.
pub(super) fn server_scripts() -> Vec<Seed> {
    let call: &[u8] = b"\x10\x04\x01";
    let message: &[u8] = b"\x1c\x00\x01hello";
    let end: &[u8] = b"\x1c\x01\x01last";
    let scripts: [Script<'_>; 8] = [
        (
            "echo",
            &[0, 0, 255],
            &[
                call,
                b"",
                message,
                b"\x38\0",
                b"\x30\0\x09",
                end,
                b"\x38\0",
                b"\x38\0",
                b"\x42\0\0",
                b"\x2a\xff",
                b"",
            ],
        ),
        (
            "narrow",
            &[3, 0, 1],
            &[
                call,
                b"",
                b"\x31\0\x09",
                b"\x2a\x08",
                b"\x08\0\0\0\0\0\x50",
                b"\x2a\xff",
                b"\x42\0\x25",
                b"\x2a\xff",
            ],
        ),
        (
            "gzip",
            &[0, 0, 255],
            &[b"\x11\x04\x01", b"", b"\x4e\0\x01", b"\x48\0\x02", b"\x33\0\x30", b"\x42\0\0", b"\x2a\xff"],
        ),
        ("continuation", &[1, 0, 255], &[b"\x11\x14\x01", b"", b"\x19\x15\x01x-t 1", b"\x2a\xff"]),
        (
            "reset",
            &[2, 0, 255],
            &[call, b"", b"\x03\0\x01\0\0\0\x08", call, b"\x10\x04\x02", b"\x03\0\x02\0\0\0\x08", b""],
        ),
        (
            "faults",
            &[0, 0, 255],
            &[b"\x13\x05\x01", b"\x16\x05\x02", b"\x17\x05\x03", b"\x08\0\x03\0\0\0\0", b"\x2a\xff"],
        ),
        (
            "timers",
            &[3, 0, 255],
            &[call, b"\x29\x01", b"\x2a\xff", b"\x28\x1e", b"\x2d", b"\x2a\xff", b"\x29\xff", b"\x2f"],
        ),
        (
            "bad-start",
            &[0, 1, 0],
            &[b"\x24PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x06\0\0deadbeef", b"\x2a\xff"],
        ),
    ];
    scripts.map(|(name, front, steps)| seed(name, pieces(front, steps))).into()
}

/// Returns scripts for a client: a good call, faults, every command.
pub(super) fn client_scripts() -> Vec<Seed> {
    let start: &[u8] = b"\x4a\0\x03";
    let out: &[u8] = b"\x2a\xff";
    let head: &[u8] = b"\x10\x04\x01";
    let scripts: [Script<'_>; 8] = [
        (
            "echo",
            &[0, 0, 255],
            &[
                start,
                b"\x30\0\x09",
                b"\x42\0",
                out,
                head,
                b"\x1c\0\x01hello",
                b"",
                b"\x38\0",
                b"\x11\x05\x01",
                b"\x38\0",
            ],
        ),
        (
            "gzip",
            &[0, 0, 255],
            &[
                b"\x4a\0\x22",
                b"\x33\0\x09",
                out,
                b"\x16\x04\x01",
                b"\x1d\0\x01\x1f\x8b",
                b"\x38\0",
                b"\x38\0",
            ],
        ),
        ("trailers-only", &[0, 0, 255], &[start, out, b"\x13\x05\x01", b"\x38\0"]),
        ("foreign", &[0, 0, 255], &[start, out, b"\x15\x04\x01", b"\0\x01\x01not here", b"\x38\0"]),
        (
            "goaway",
            &[0, 0, 255],
            &[
                start,
                start,
                out,
                b"\x07\0\0\0\0\0\x01\0\0\0\0",
                head,
                b"\x11\x05\x01",
                b"\x38\0",
                b"\x38\x01",
            ],
        ),
        (
            "queued",
            &[1, 0, 2],
            &[b"\x04\0\0\0\x03\0\0\0\x01", start, start, start, out, b"\x40\0", b"\x48\x01", out, b""],
        ),
        (
            "reset",
            &[2, 0, 255],
            &[start, out, b"\x03\0\x01\0\0\0\x07", b"\x38\0", b"\x08\0\x01\0\0\0\x01", b"\x14\x04\x01", out],
        ),
        (
            "timers",
            &[3, 0, 255],
            &[b"\x4a\0\x13", out, b"\x28\x03", b"\x38\0", b"\x28\x1e", out, b"\x2e\x02", b"\x2f"],
        ),
    ];
    scripts.map(|(name, front, steps)| seed(name, pieces(front, steps))).into()
}

/// Returns bytes of programs: calm ones, and a few from a small generator of numbers.
pub(super) fn programs() -> Vec<Seed> {
    let stretch = |seed: u32, count: usize| {
        let mut state = seed;
        let next = move |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..count).map(next).collect::<Vec<_>>()
    };
    let sizes = [8, 40, 100, 200, 400, 700];
    let grown = (1..).zip(sizes).map(|(number, size)| seed(format!("grown-{size}"), stretch(number, size)));
    [seed("calm", vec![0; 4]), seed("low", vec![1; 60])].into_iter().chain(grown).collect()
}
