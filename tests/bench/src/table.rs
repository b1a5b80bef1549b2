//! Medians, and the tables of them.

use std::fmt;

/// One figure, measured several times.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// One measurement.
    #[must_use]
    pub fn of(value: f64) -> Self {
        Self(vec![value])
    }

    /// Adds a measurement.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The measurements, in their order.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// Returns the quotients of two figures, round by round, so that what both had in common in a round cancels out.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one / other).collect())
    }

    /// Returns the median; NaN if nothing was measured.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match (sorted.get(middle), sorted.get(middle.wrapping_sub(1))) {
            (Some(&high), Some(&low)) if sorted.len().is_multiple_of(2) => f64::midpoint(low, high),
            (Some(&middle), _) => middle,
            (None, _) => f64::NAN,
        }
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if least == most {
            return f.write_str(&short(most));
        }
        write!(f, "{} [{}..{}]", short(self.median()), short(least), short(most))
    }
}

/// Formats three significant digits, or the whole number.
#[must_use]
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        100.0.. => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        1.0..10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        Samples(values.to_vec())
    }

    #[test]
    fn medians_of_odd_and_even_numbers() {
        assert_eq!(samples(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(samples(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert!(samples(&[]).median().is_nan());
    }

    #[test]
    fn ratios_are_formed_inside_a_round() {
        let ratio = samples(&[1.0, 30.0, 2.0]).over(&samples(&[2.0, 60.0, 4.0]));
        assert_eq!(ratio.values(), [0.5, 0.5, 0.5]);
        assert_eq!(ratio.to_string(), "0.500");
        assert_eq!(samples(&[1.0, 1.25, 3.0]).to_string(), "1.25 [1.00..3.00]");
    }
}
