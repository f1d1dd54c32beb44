//! Figures, in the order in which they were measured.

use std::fmt::Write as _;

/// One figure.
pub struct Figure {
    /// What was measured.
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
    /// What the same run took for the work that cannot be avoided.
    pub floor: Option<f64>,
}

#[derive(Default)]
pub struct Results(pub Vec<Figure>);

impl Results {
    pub fn put(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        self.beside(what, value, unit, None);
    }

    pub fn beside(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        floor: Option<f64>,
    ) {
        let what = what.into();
        // Each as soon as it is there: a whole run takes minutes.
        eprintln!("{what}: {value:.2} {unit}");
        self.0.push(Figure { what, value, unit, floor });
    }

    pub fn get(&self, what: &str) -> Option<f64> {
        self.0.iter().find(|figure| figure.what == what).map(|figure| figure.value)
    }

    pub fn table(&self) -> String {
        let mut text = String::from("| | | floor | floor / figure |\n|---|--:|--:|--:|\n");
        for Figure { what, value, unit, floor } in &self.0 {
            let digits = if *value < 100.0 { 2 } else { 0 };
            let of = |n: f64| format!("{n:.digits$} {unit}");
            let (floor_text, ratio) = match floor {
                Some(floor) => (of(*floor), format!("{:.2}", floor / value)),
                None => (String::new(), String::new()),
            };
            let _ = writeln!(text, "| {what} | {} | {floor_text} | {ratio} |", of(*value));
        }
        text
    }

    pub fn json(&self) -> String {
        let figures = self.0.iter().map(|Figure { what, value, unit, floor }| {
            serde_json::json!({ "what": what, "value": value, "unit": unit, "floor": floor })
        });
        serde_json::Value::Array(figures.collect()).to_string() + "\n"
    }
}

/// The value below which so many hundredths of the values lie.
pub fn percentile(sorted: &[f64], hundredths: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * hundredths / 100).copied().unwrap_or(f64::NAN)
}
