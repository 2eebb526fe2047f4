//! `gongying image calibrate`: a display's curve for the Grayscale Standard Display Function (PS3.14).

use crate::output;
use anyhow::{Context, Result};
use clap::Args;
use engine::pixel::gsdf::Display;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(
    after_help = "Example: gongying image calibrate --measured \"0:0.4 64:8.1 128:42 192:130 255:300\" --ambient 0.5 -o curve.csv"
)]
pub(crate) struct Calibrate {
    /// Driving levels and their luminances in candela per square metre, LEVEL:LUMINANCE with spaces between, measured in
    /// the dark.
    #[arg(long)]
    measured: String,
    /// Light of the room that the display reflects, candela per square metre.
    #[arg(long, default_value_t = 0.0)]
    ambient: f64,
    /// P-values of the curve.
    #[arg(long, default_value_t = 256)]
    p_values: usize,
    /// CSV file to write: p_value, driving_level, luminance_cd_m2, wanted_cd_m2.
    #[arg(short, long)]
    output: Option<PathBuf>,
}

impl Calibrate {
    pub(super) fn run(self) -> Result<()> {
        let display = Display::new(points(&self.measured)?, self.ambient)?;
        let curve = display.curve(self.p_values)?;
        if let Some(path) = &self.output {
            let mut text = String::from("p_value,driving_level,luminance_cd_m2,wanted_cd_m2\n");
            for (p, level) in curve.iter().enumerate() {
                let (is, wanted) = (
                    display.luminance(f64::from(*level)),
                    display.wanted(p, curve.len()),
                );
                writeln!(text, "{p},{level},{is:.5},{wanted:.5}")?;
            }
            output::write_file(path, text.as_bytes())?;
        }
        let reached = display.conformance(&curve);
        output::json(
            None,
            &json!({
                "p_values": curve.len(),
                "jnd_range": reached.map(|r| r.jnd_range),
                "jnd_per_step": reached.map(|r| r.jnd_per_step),
                "deviation_jnd": reached.map(|r| r.deviation_jnd),
            }),
        )
    }
}

fn points(text: &str) -> Result<Vec<(f64, f64)>> {
    let point = |word: &str| {
        let (level, luminance) = word.split_once(':')?;
        Some((level.parse().ok()?, luminance.parse().ok()?))
    };
    text.split_whitespace()
        .map(|word| {
            point(word)
                .with_context(|| format!("--measured: \"{word}\" should be LEVEL:LUMINANCE, as in 128:42.5"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_are_pairs() {
        assert_eq!(points("0:0.4  255:300").unwrap(), [(0.0, 0.4), (255.0, 300.0)]);
        for bad in ["0", "0:", "a:1", "0:1:2"] {
            assert!(points(bad).is_err(), "{bad}");
        }
    }
}
