//! docs/limits.md has every field of `Limits`, with its defaults.

use std::collections::BTreeMap;

use halfclose::Limits;

/// Field and value, as the page writes them.
fn fields(limits: &Limits) -> BTreeMap<String, String> {
    let text = format!("{limits:?}");
    let mut rest = text.strip_prefix("Limits { ").and_then(|text| text.strip_suffix(" }")).expect("a struct");
    let mut fields = BTreeMap::new();
    while let Some((name, after)) = rest.split_once(": ") {
        let end = if after.starts_with("Rate") {
            after.find('}').expect("an end") + 1
        } else {
            after.find(',').unwrap_or(after.len())
        };
        let value = match after[..end].strip_prefix("Rate { burst: ") {
            Some(rate) => rate.replace(", per_second: ", " + ").replace(" }", "/s"),
            None if after[..end] == u32::MAX.to_string() => "none".to_owned(),
            None => after[..end].to_owned(),
        };
        fields.insert(name.to_owned(), value);
        rest = after[end..].trim_start_matches(", ");
    }
    fields
}

#[test]
fn the_page_has_every_limit_and_its_defaults() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/limits.md");
    let page = std::fs::read_to_string(path).expect("docs/limits.md");
    let rows: BTreeMap<String, Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
            (cells[0].trim_matches('`').to_owned(), cells)
        })
        .collect();
    let (server, client) = (fields(&Limits::server()), fields(&Limits::client()));
    assert!(server.len() > 20, "{server:?}");
    assert_eq!(rows.keys().collect::<Vec<_>>(), server.keys().collect::<Vec<_>>());
    for (name, cells) in rows {
        assert_eq!(cells.len(), 6, "{name}: a cell is empty");
        assert_eq!((cells[1], cells[2]), (server[&name].as_str(), client[&name].as_str()), "{name}");
    }
}
