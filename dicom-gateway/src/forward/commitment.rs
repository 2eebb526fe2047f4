//! Storage commitment of what was sent: asked in a letter of its own, answered on the same
//! association or later on one of the other side.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use archive::Archive;
use archive::outbox::{Claimed, End, NewLetter};
use dataset::DataSet;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::deliver::Sent;
use super::{Forwarding, StoreLetter, kind};
use crate::dimse::status;
use crate::scu::Client;
use crate::scu::commitment::{self, Reference, Report};

/// From the delivery of objects to the question about them.
const ASK_AFTER: Duration = Duration::from_secs(5);
/// How long the result is awaited on the association that asked.
const SAME_ASSOCIATION_WAIT: Duration = Duration::from_secs(2);
/// How long the result is awaited before it is asked for again.
const RESULT_WAIT: Duration = Duration::from_secs(600);
/// How often objects are sent again because the other side does not answer for them.
const ROUNDS_MAX: u32 = 2;

/// What a letter asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CommitmentLetter {
    pub(super) route: String,
    pub(super) study: String,
    #[serde(default)]
    pub(super) round: u32,
    /// SOP class and instance.
    pub(super) objects: Vec<(String, String)>,
}

impl CommitmentLetter {
    fn references(&self) -> Vec<Reference> {
        let reference = |(class, instance): &(String, String)| Reference {
            sop_class: class.clone(),
            sop_instance: instance.clone(),
        };
        self.objects.iter().map(reference).collect()
    }
}

/// Letters that ask about delivered objects: one for each rule, study and round.
pub(super) fn letters(delivered: Vec<(NewLetter, StoreLetter, Reference)>) -> Vec<(NewLetter, Duration)> {
    let mut all: Vec<(NewLetter, CommitmentLetter)> = Vec::new();
    for (letter, content, object) in delivered {
        let object = (object.sop_class, object.sop_instance);
        let known = all.iter_mut().find(|(_, known)| {
            known.route == content.route && known.study == content.study && known.round == content.round
        });
        match known {
            Some((_, known)) => known.objects.push(object),
            None => all.push((
                NewLetter {
                    kind: kind::COMMITMENT.to_owned(),
                    subject: format!("2.25.{}", uuid::Uuid::new_v4().as_u128()),
                    ..letter
                },
                CommitmentLetter {
                    route: content.route,
                    study: content.study,
                    round: content.round,
                    objects: vec![object],
                },
            )),
        }
    }
    let written = |(letter, content): (NewLetter, CommitmentLetter)| {
        let payload = serde_json::to_vec(&content).unwrap_or_default();
        (NewLetter { payload, ..letter }, ASK_AFTER)
    };
    all.into_iter().map(written).collect()
}

/// Asks for one letter. Each attempt has a transaction UID of its own: the letter's, and the number
/// of the attempt.
pub(super) async fn ask(
    forwarding: &Forwarding,
    client: &mut Client,
    claimed: &Claimed,
    letter: &CommitmentLetter,
) -> Sent {
    let stem = &claimed.letter.letter.subject;
    let transaction = format!("{stem}.{}", claimed.letter.attempts + 1);
    if let Err(error) = commitment::ask(client, &transaction, &letter.references()).await {
        return error.into();
    }
    match commitment::await_report(client, SAME_ASSOCIATION_WAIT).await {
        Ok(Some(report)) => {
            let code = apply(&forwarding.archive, &report).await;
            if code == status::SUCCESS {
                // the letter has its end already; what the caller notes changes nothing
                Sent::Done
            } else {
                Sent::Asked(RESULT_WAIT)
            }
        }
        Ok(None) => Sent::Asked(RESULT_WAIT),
        // it accepted the request and then went away: the result comes on its own association
        Err(_) => Sent::Asked(RESULT_WAIT),
    }
}

/// Takes the data set of an N-EVENT-REPORT of the Storage Commitment Push Model; the status of the
/// answer.
pub async fn commitment_result(archive: &Archive, data: &DataSet) -> u16 {
    match Report::read(data) {
        Some(report) => apply(archive, &report).await,
        None => status::INVALID_ARGUMENT,
    }
}

async fn apply(archive: &Archive, report: &Report) -> u16 {
    let Some((stem, _)) = report.transaction_uid.rsplit_once('.') else {
        return status::INVALID_ARGUMENT;
    };
    let found = match archive.outbox().by_subject(kind::COMMITMENT, stem).await {
        Ok(found) => found,
        Err(error) => {
            warn!("a storage commitment result cannot be taken: {error}");
            return status::PROCESSING_FAILURE;
        }
    };
    let letter = found.and_then(|claimed| {
        let content: CommitmentLetter = serde_json::from_slice(&claimed.letter.letter.payload).ok()?;
        Some((claimed, content))
    });
    let Some((claimed, content)) = letter else {
        info!(transaction = %report.transaction_uid, "a storage commitment result that nobody waits for");
        return status::PROCESSING_FAILURE;
    };
    let committed: HashSet<&Reference> = report.committed.iter().collect();
    let mut missing = content.references();
    missing.retain(|object| !committed.contains(object));
    let (end, follow) = conclude(&claimed, &content, &missing, report);
    match archive.outbox().settle(vec![claimed.ended(end)], follow).await {
        Ok(()) => status::SUCCESS,
        Err(error) => {
            warn!("a storage commitment result cannot be noted: {error}");
            status::PROCESSING_FAILURE
        }
    }
}

/// The end of a letter, and the objects to be sent again.
fn conclude(
    claimed: &Claimed,
    content: &CommitmentLetter,
    missing: &[Reference],
    report: &Report,
) -> (End, Vec<(NewLetter, Duration)>) {
    if missing.is_empty() {
        return (End::Delivered, Vec::new());
    }
    let reasons: BTreeSet<String> = report
        .failed
        .iter()
        .map(|(_, reason)| format!("0x{reason:04X}"))
        .collect();
    let reasons = reasons.into_iter().collect::<Vec<_>>().join(", ");
    let (some, all) = (missing.len(), content.objects.len());
    let words = format!("{some} of {all} objects are not answered for ({reasons})");
    warn!(destination = %claimed.letter.letter.destination, "{words}");
    if content.round >= ROUNDS_MAX {
        return (End::GivenUp { error: words }, Vec::new());
    }
    let payload = StoreLetter {
        route: content.route.clone(),
        study: content.study.clone(),
        commit: true,
        round: content.round + 1,
    };
    let payload = serde_json::to_vec(&payload).unwrap_or_default();
    let again = |object: &Reference| {
        let letter = NewLetter {
            kind: kind::STORE.to_owned(),
            subject: object.sop_instance.clone(),
            payload: payload.clone(),
            ..claimed.letter.letter.clone()
        };
        (letter, Duration::ZERO)
    };
    (End::Delivered, missing.iter().map(again).collect())
}
