//! Township nodes: let one in, list them, shut one out.

use super::Place;
use crate::output;
use anyhow::{Context, Result};
use archive::edge::wire::Heartbeat;
use clap::Subcommand;
use std::time::Duration;

/// Longest life of an enrolment token.
const HOURS_MAX: u64 = 24 * 30;

#[derive(Subcommand, Debug)]
pub(crate) enum Edge {
    /// Make a token that lets one township node in, once. The token is the last word of the output.
    #[command(after_help = "Example: gongying admin edge enrol --institution HEXI --config node.toml")]
    Enrol {
        /// Code of the institution where the node stands.
        #[arg(long)]
        institution: String,
        /// Hours until the token expires.
        #[arg(long, default_value_t = 72)]
        hours: u64,
        /// Also show it as a QR code.
        #[arg(long)]
        qr: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Show all township nodes, when each was heard of last, and what waits there.
    #[command(after_help = "Example: gongying admin edge list --data ./data")]
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Shut a township node out from now on.
    #[command(after_help = "Example: gongying admin edge revoke --name edge-3fa1c09be2d4 --config node.toml")]
    Revoke {
        /// Name of the node, see `gongying admin edge list`.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

impl Edge {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Edge::Enrol {
                institution,
                hours,
                qr,
                place,
            } => {
                let node = place.open().await?;
                let known = node.archive.institutions().by_code(&institution).await;
                let known = known.with_context(|| {
                    format!("institution {institution}: see gongying admin institution list")
                })?;
                let lives = Duration::from_secs(hours.clamp(1, HOURS_MAX) * 3600);
                let token = node.archive.centre().new_enrolment(known.id, lives).await?;
                if qr {
                    output::line(&qr_text(&token)?)?;
                }
                output::line(&format!(
                    "{} {}, within {hours} hours, once: [edge] enrolment_token {token}",
                    known.code, known.name_zh
                ))
            }
            Edge::List { place } => {
                let node = place.open().await?;
                for edge in node.archive.centre().nodes().await? {
                    let institution = node.reading.institution(edge.institution_id).await?;
                    let state = if edge.revoked_at.is_some() {
                        "revoked"
                    } else {
                        "enrolled"
                    };
                    let seen = edge.last_seen_at.map_or_else(
                        || "never heard of".to_string(),
                        |at| format!("last heard of {at}"),
                    );
                    let told: Option<Heartbeat> =
                        edge.report.and_then(|text| serde_json::from_str(&text).ok());
                    let waits = told.map_or_else(String::new, |told| {
                        let objects: u64 = told.waiting.iter().copied().fold(0, u64::saturating_add);
                        format!("  {objects} objects wait, version {}", told.version)
                    });
                    output::line(&format!(
                        "{:20} {:10} {state:9} {seen}{waits}",
                        edge.name, institution.code
                    ))?;
                }
                Ok(())
            }
            Edge::Revoke { name, place } => {
                let node = place.open().await?;
                node.archive.centre().revoke(&name).await?;
                reading::account::revoke_tokens(&node.reading, &name).await?;
                output::line(&format!("{name} is shut out from now on"))
            }
        }
    }
}

/// A QR code in half blocks, dark on light also on a dark terminal.
fn qr_text(token: &str) -> Result<String> {
    use qrcode::render::unicode::Dense1x2;
    let code = qrcode::QrCode::new(token.as_bytes()).context("QR code")?;
    let mut image = code.render::<Dense1x2>();
    Ok(image
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_qr_code_is_square_blocks() {
        let text = qr_text("gye_0123456789abcdef0123456789abcdef01234567").unwrap();
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(
            widths.len() > 10 && widths.iter().all(|w| *w == widths[0]),
            "{widths:?}"
        );
    }
}
