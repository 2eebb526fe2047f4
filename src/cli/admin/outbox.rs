//! What is to be sent on: what waits, what was given up, try again, drop; and why a rule matches.

use super::Place;
use crate::output;
use anyhow::{Result, bail};
use archive::OutboxId;
use archive::outbox::LetterInfo;
use clap::{Args, Subcommand};
use dicom_gateway::forward::{Explanation, OUTBOX_PREFIX, outbox_name};

/// Who does it, in the audit trail.
const OPERATOR: &str = "operator";

#[derive(Subcommand, Debug)]
pub(crate) enum Outbox {
    /// Show how each destination does, and the letters that wait or were given up.
    #[command(after_help = "Example: gongying admin outbox list --given-up --config node.toml")]
    List {
        /// Letters to this destination only.
        #[arg(long, value_name = "NAME")]
        destination: Option<String>,
        /// Letters that were given up instead of those that wait.
        #[arg(long)]
        given_up: bool,
        /// Letters at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// One JSON object for each letter instead of text.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Try letters again now, with all their attempts.
    #[command(after_help = "Example: gongying admin outbox retry --destination province --config node.toml")]
    Retry {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        place: Place,
    },
    /// Drop letters: they are not sent any more. The audit trail keeps a row of each.
    #[command(after_help = "Example: gongying admin outbox drop 4711 4712 --config node.toml")]
    Drop {
        /// Numbers that `list` shows.
        #[arg(required = true)]
        ids: Vec<i64>,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// Numbers that `list` shows.
    ids: Vec<i64>,
    /// All given-up letters to this destination.
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum RouteCommand {
    /// Hold all rules against a stored study and say which match and why.
    #[command(
        after_help = "Example: gongying admin route test --study 1.2.840.113619.2.55.3 --config node.toml\n\nThe study is taken as it is now, with the modalities and SOP classes of all its objects."
    )]
    Test {
        /// Study Instance UID.
        #[arg(long, value_name = "UID")]
        study: String,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

fn ids(numbers: Vec<i64>) -> Vec<OutboxId> {
    numbers.into_iter().map(OutboxId).collect()
}

impl Outbox {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Outbox::List {
                destination,
                given_up,
                limit,
                json,
                place,
            } => {
                let outbox = place.open().await?.archive.outbox();
                let named = destination.as_deref().map(outbox_name);
                let letters = outbox.list(named.as_deref(), given_up, limit).await?;
                for letter in &letters {
                    output::line(&letter_line(letter, json)?)?;
                }
                for state in outbox.overview().await? {
                    let oldest = state
                        .oldest
                        .map(|at| format!(", oldest from {at}"))
                        .unwrap_or_default();
                    output::note(&format!(
                        "{}: {} waiting{oldest}, {} given up",
                        shown(&state.destination),
                        state.waiting,
                        state.given_up
                    ));
                }
                Ok(())
            }
            Outbox::Retry { which, place } => {
                let outbox = place.open().await?.archive.outbox();
                let count = match which.destination {
                    Some(name) => outbox.retry_all(&outbox_name(&name)).await?,
                    None => {
                        let count = which.ids.len() as u64;
                        outbox.retry(ids(which.ids)).await?;
                        count
                    }
                };
                if count == 0 {
                    bail!(
                        "nothing was given up there; `gongying admin outbox list --given-up` shows what was"
                    );
                }
                output::line(&format!("{count} letters are tried again"))
            }
            Outbox::Drop { ids: numbers, place } => {
                let count = numbers.len();
                let archive = place.open().await?.archive;
                archive.outbox().discard(ids(numbers), OPERATOR).await?;
                output::line(&format!("{count} letters dropped"))
            }
        }
    }
}

fn shown(destination: &str) -> &str {
    destination.strip_prefix(OUTBOX_PREFIX).unwrap_or(destination)
}

fn letter_line(info: &LetterInfo, json: bool) -> Result<String> {
    let letter = &info.letter.letter;
    if json {
        return Ok(serde_json::to_string(&serde_json::json!({
            "id": info.letter.id.0,
            "destination": shown(&letter.destination),
            "kind": letter.kind,
            "subject": letter.subject,
            "state": info.state,
            "priority": letter.priority,
            "attempts": info.letter.attempts,
            "created_at": info.letter.created_at.to_iso8601(),
            "next_at": info.next_at.to_iso8601(),
            "error": info.error,
        }))?);
    }
    Ok(format!(
        "{:>8} {:16} {:12} {} attempts {}, next {}{}",
        info.letter.id.0,
        shown(&letter.destination),
        letter.kind,
        letter.subject,
        info.letter.attempts,
        info.next_at,
        info.error
            .as_deref()
            .map(|e| format!(": {e}"))
            .unwrap_or_default()
    ))
}

impl RouteCommand {
    pub(super) async fn run(self) -> Result<()> {
        let RouteCommand::Test { study, json, place } = self;
        let node = place.open().await?;
        let facts = node.archive.route_facts(&study).await?;
        let explained = node.rules.table.explain(&facts);
        if json {
            return output::json(None, &explained);
        }
        if explained.is_empty() {
            return output::line("the configuration has no [[route]]");
        }
        explained
            .iter()
            .try_for_each(|rule| output::line(&explanation(rule)))
    }
}

fn explanation(rule: &Explanation) -> String {
    let verdict = if rule.matches { "matches" } else { "does not match" };
    let mut text = format!("{}: {verdict}; {}", rule.route, rule.action);
    for check in &rule.checks {
        let sign = if check.holds { "yes" } else { "no " };
        text.push_str(&format!(
            "\n  {sign} {}: wants {}; the study has {}",
            check.condition, check.wanted, check.found
        ));
    }
    if rule.checks.is_empty() {
        text.push_str("\n  yes no condition: it takes everything");
    }
    text
}
