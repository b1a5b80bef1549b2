//! Generates the code of what stands in `proto`.

fn main() -> Result<(), halfclose_build::Error> {
    halfclose_build::compile("proto", ["proto/words.proto", "proto/hello.proto"])
}
