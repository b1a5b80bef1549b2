//! docs/limits.md has every field of `Limits` with its defaults, and the formula of memory with its result.

use std::collections::BTreeMap;

use halfclose::{Config, Limits};
use halfclose_security::worst::{PARTS, most};

/// Returns field and value, as the page writes them.
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

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/limits.md");
    std::fs::read_to_string(path).expect("docs/limits.md")
}

/// Returns the cells of the rows that begin with `start`.
fn rows<'a>(page: &'a str, start: &str) -> Vec<Vec<&'a str>> {
    let cells = |line: &'a str| {
        let line = line.trim_start_matches('|').trim_end_matches('|');
        line.split('|').map(str::trim).collect()
    };
    page.lines().filter(|line| line.starts_with(start)).map(cells).collect()
}

/// Returns the rows of the limits in the section with this title, by the limit's name.
fn limits<'a>(page: &'a str, title: &str) -> BTreeMap<String, Vec<&'a str>> {
    let start = page.find(&format!("\n## {title}\n")).expect("the section") + 4;
    let section = &page[start..];
    let section = section.split("\n## ").next().unwrap_or_default();
    let name = |cells: Vec<&'a str>| (cells[0].trim_matches('`').to_owned(), cells);
    rows(section, "| `").into_iter().map(name).collect()
}

#[test]
fn the_page_has_the_formula_and_what_it_comes_to() {
    let configs = [Config::server(), Config::server().strict()];
    let page = page();
    for part in PARTS {
        let rows = rows(&page, &format!("| {} |", part.name));
        assert_eq!(rows.len(), 1, "{}", part.name);
        let kib = configs.each_ref().map(|config| ((part.most)(config) / 1024).to_string());
        assert_eq!([rows[0][2], rows[0][3]], [kib[0].as_str(), kib[1].as_str()], "{}", part.name);
    }
    let all = rows(&page, "| **in all** |");
    let kib = configs.each_ref().map(|config| format!("**{}**", most(config) / 1024));
    assert_eq!([all[0][2], all[0][3]], [kib[0].as_str(), kib[1].as_str()]);
}

#[test]
fn the_page_has_every_limit_and_its_defaults() {
    let page = page();
    let rows = limits(&page, "Every limit");
    let (server, client) = (fields(&Limits::server()), fields(&Limits::client()));
    assert!(server.len() > 20, "{server:?}");
    assert_eq!(rows.keys().collect::<Vec<_>>(), server.keys().collect::<Vec<_>>());
    for (name, cells) in rows {
        assert_eq!(cells.len(), 5, "{name}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{name}: a cell is empty");
        assert_eq!((cells[1], cells[2]), (server[&name].as_str(), client[&name].as_str()), "{name}");
    }
}

#[test]
fn the_page_has_a_row_of_honest_load_for_every_limit() {
    let page = page();
    let rows = limits(&page, "The honest load that comes closest");
    assert_eq!(rows.keys().collect::<Vec<_>>(), fields(&Limits::server()).keys().collect::<Vec<_>>());
    for (name, cells) in rows {
        assert_eq!(cells.len(), 5, "{name}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{name}: a cell is empty");
    }
}

/// The text of every Rust file below a folder of the repository.
fn sources(folder: &str) -> String {
    let mut text = String::new();
    let mut folders =
        vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(&path).expect("a source"));
            }
        }
    }
    text
}

/// What stands between pairs of `mark` in a cell.
fn marked(cell: &str, mark: char) -> impl Iterator<Item = &str> {
    cell.split(mark).skip(1).step_by(2)
}

#[test]
fn the_tests_that_the_page_names_exist() {
    let text = ["core/src", "core/tests", "tests", "adapters"].map(sources).concat();
    let page = page();
    let mut named = 0;
    for (limit, cells) in limits(&page, "The honest load that comes closest") {
        for cell in [cells[1], cells[4]] {
            for test in marked(cell, '`') {
                named += 1;
                let exists = ["(", "<"].iter().any(|end| text.contains(&format!("fn {test}{end}")));
                assert!(exists || test.ends_with(".rs"), "{limit}: no test {test}");
            }
            for attack in marked(cell, '"') {
                named += 1;
                assert!(text.contains(&format!("\"{attack}\"")), "{limit}: no attack {attack}");
            }
        }
    }
    assert!(named > 30, "{named} names");
}
