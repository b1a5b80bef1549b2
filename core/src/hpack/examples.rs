//! The examples of RFC 7541 appendix C, decoded and encoded.

use super::{BlockLimits, Decoder, Encoder, Indexing};

const WIDE: BlockLimits = BlockLimits { max_string: 1 << 16, max_list_size: 1 << 20 };

type List = &'static [(&'static str, &'static str)];

/// A block in hex, its header list, and the size of the table after it.
type Example = (&'static str, List, usize);

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn decodes(max_table_size: usize, examples: &[Example]) {
    let mut decoder = Decoder::new(max_table_size);
    for (hex, list, table_size) in examples {
        let mut got = Vec::new();
        let stats = decoder.decode(&unhex(hex), &WIDE, |field| {
            got.push((field.name.escape_ascii().to_string(), field.value.escape_ascii().to_string()));
        });
        let list: Vec<_> = list.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        assert_eq!(got, list);
        assert_eq!(stats.unwrap().fields, list.len());
        assert_eq!(decoder.table_size(), *table_size);
    }
}

fn encodes(max_table_size: u32, examples: &[Example]) {
    let mut encoder = Encoder::new(4096);
    encoder.set_peer_max_table_size(max_table_size);
    encoder.begin(&mut Vec::new());
    for (hex, list, table_size) in examples {
        let mut block = Vec::new();
        encoder.begin(&mut block);
        for (name, value) in *list {
            encoder.field(name.as_bytes(), value.as_bytes(), Indexing::Incremental, &mut block);
        }
        assert_eq!(block, unhex(hex), "{hex}");
        assert_eq!(encoder.table_size(), *table_size);
    }
}

// §C.2.1 to §C.2.4.
#[test]
fn representations() {
    let custom = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    decodes(4096, &[(custom, &[("custom-key", "custom-header")], 55)]);
    decodes(4096, &[("040c 2f73 616d 706c 652f 7061 7468", &[(":path", "/sample/path")], 0)]);
    let password = "1008 7061 7373 776f 7264 0673 6563 7265 74";
    decodes(4096, &[(password, &[("password", "secret")], 0)]);
    let mut sensitive = false;
    Decoder::new(4096).decode(&unhex(password), &WIDE, |field| sensitive = field.sensitive).unwrap();
    assert!(sensitive);
    decodes(4096, &[("82", &[(":method", "GET")], 0)]);
    encodes(4096, &[("82", &[(":method", "GET")], 0)]);
}

const REQUESTS: [List; 3] = [
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")],
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
        ("cache-control", "no-cache"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ],
];

// §C.3.
#[test]
fn requests_without_huffman() {
    let blocks = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    decodes(4096, &examples(blocks, REQUESTS, [57, 110, 164]));
}

// §C.4.
#[test]
fn requests_with_huffman() {
    let blocks = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    decodes(4096, &examples(blocks, REQUESTS, [57, 110, 164]));
    encodes(4096, &examples(blocks, REQUESTS, [57, 110, 164]));
}

const RESPONSES: [List; 3] = [
    &[
        (":status", "302"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ],
    &[
        (":status", "307"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ],
    &[
        (":status", "200"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
        ("location", "https://www.example.com"),
        ("content-encoding", "gzip"),
        ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
    ],
];

// §C.5, in a table of 256 bytes.
#[test]
fn responses_without_huffman() {
    let blocks = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32
         3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970
         7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61
         6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ];
    decodes(256, &examples(blocks, RESPONSES, [222, 222, 215]));
}

// §C.6, in a table of 256 bytes.
#[test]
fn responses_with_huffman() {
    let first =
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d
                 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
    let third = "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d
                 d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106
                 3d50 07";
    decodes(256, &examples([first, "4883 640e ffc1 c0bf", third], RESPONSES, [222, 222, 215]));
    // The RFC's encoder uses the Huffman code even if it is as long as the plain text ("307"); ours does not.
    encodes(256, &examples([first, "4803 3330 37c1 c0bf", third], RESPONSES, [222, 222, 215]));
}

fn examples(blocks: [&'static str; 3], lists: [List; 3], table_sizes: [usize; 3]) -> Vec<Example> {
    blocks.into_iter().zip(lists).zip(table_sizes).map(|((block, list), size)| (block, list, size)).collect()
}
