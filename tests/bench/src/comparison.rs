//! Figures of several contestants for the same work, and how they are printed.

use crate::table::Samples;

/// One part of the table: figures of several contestants, in the order of their first measurement.
#[derive(Debug)]
pub struct Comparison {
    title: &'static str,
    figures: Vec<Figure>,
}

#[derive(Debug)]
struct Figure {
    what: String,
    unit: &'static str,
    /// The contestants; the others are compared with the first.
    contestants: Vec<(String, Samples)>,
}

impl Comparison {
    /// Creates a comparison without measurements.
    #[must_use]
    pub const fn new(title: &'static str) -> Self {
        Self { title, figures: Vec::new() }
    }

    /// Adds one measurement of one contestant.
    pub fn add(&mut self, what: &str, who: &str, value: f64, unit: &'static str) {
        let at = self.figures.iter().position(|figure| figure.what == what).unwrap_or(self.figures.len());
        if at == self.figures.len() {
            self.figures.push(Figure { what: what.to_owned(), unit, contestants: Vec::new() });
        }
        let Some(Figure { contestants, .. }) = self.figures.get_mut(at) else { return };
        match contestants.iter_mut().find(|(name, _)| name == who) {
            Some((_, samples)) => samples.push(value),
            None => contestants.push((who.to_owned(), Samples::of(value))),
        }
    }

    /// Returns the measurements of a contestant.
    #[must_use]
    pub fn samples(&self, what: &str, who: &str) -> Option<&Samples> {
        let figure = self.figures.iter().find(|figure| figure.what == what)?;
        figure.contestants.iter().find_map(|(name, samples)| (name == who).then_some(samples))
    }

    /// Prints it as rows of Markdown; ratios are formed inside a round, with the first contestant.
    pub fn print(&self) {
        println!("\n### {}\n", self.title);
        println!("| what | who | median [min..max] | ratio to the first |\n|---|---|---|---|");
        for Figure { what, unit, contestants } in &self.figures {
            let Some((_, first)) = contestants.first() else { continue };
            for (who, samples) in contestants {
                let ratio = match contestants.len() {
                    1 => String::new(),
                    _ => samples.over(first).to_string(),
                };
                println!("| {what} | {who} | {samples} {unit} | {ratio} |");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_are_kept_by_figure_and_contestant() {
        let mut comparison = Comparison::new("test");
        for (round, factor) in [(1, 1.0), (2, 4.0)] {
            comparison.add("time", "one", f64::from(round), "us");
            comparison.add("time", "other", f64::from(round) * factor, "us");
        }
        comparison.add("size", "one", 7.0, "KB");
        assert_eq!(comparison.samples("time", "one").unwrap().values(), [1.0, 2.0]);
        assert_eq!(comparison.samples("time", "other").unwrap().values(), [1.0, 8.0]);
        assert!(comparison.samples("size", "other").is_none());
        assert_eq!(comparison.figures.len(), 2);
    }
}
