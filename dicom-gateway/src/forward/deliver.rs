//! Delivering claimed letters over one association.

use std::collections::BTreeMap;
use std::time::Duration;

use archive::ArchiveError;
use archive::audit::{AuditAction, AuditEntry, event};
use archive::outbox::{Claimed, End, NewLetter, Settled};
use archive::study::Instance;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::commitment::{self, CommitmentLetter};
use super::lane::wait_after;
use super::{Endpoint, Forwarding, Limits, StoreLetter, kind};
use crate::GatewayError;
use crate::dimse::{self, field, status};
use crate::scu::availability::{self, AvailableSeries, AvailableStudy};
use crate::scu::commitment::{OBJECTS_MAX, Reference};
use crate::scu::{Client, Proposal};
use crate::service::retrieve::source::{self, SourceError};

/// Wait after the first failure of a letter; doubled after each.
const RETRY_FIRST: Duration = Duration::from_secs(10);
/// Longest wait after a failure.
const RETRY_MAX: Duration = Duration::from_secs(3600);
/// Wait when the index did not answer.
const INDEX_WAIT: Duration = Duration::from_secs(5);
/// Presentation contexts that letters of one batch may need; further ones go with the next.
const CONTEXTS_MAX: usize = 100;

/// An association and what was proposed on it.
pub(super) struct Open {
    pub(super) client: Client,
    proposed: Vec<Proposal>,
}

/// What became of a batch.
#[derive(Default)]
pub(super) struct Report {
    pub(super) settled: Vec<Settled>,
    /// Letters that follow from it.
    pub(super) follow: Vec<(NewLetter, Duration)>,
    pub(super) delivered: usize,
    /// The destination cannot be reached, or broke the association off.
    pub(super) broken: Option<String>,
}

/// A letter with what it needs.
enum Task {
    Object(Box<Instance>, StoreLetter),
    Availability(Box<AvailableStudy>),
    Commitment(CommitmentLetter),
}

/// How the sending of one letter ended.
pub(super) enum Sent {
    Done,
    /// Accepted; the result comes later, or the request is repeated after this time.
    Asked(Duration),
    Refused(String),
    /// The association is of no more use.
    Broken(String),
}

impl From<GatewayError> for Sent {
    fn from(error: GatewayError) -> Self {
        match error {
            GatewayError::Failed { .. } | GatewayError::NotOffered { .. } => Self::Refused(error.to_string()),
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// Delivers batches to one destination.
pub(super) struct Courier<'a> {
    pub(super) forwarding: &'a Forwarding,
    pub(super) endpoint: &'a Endpoint,
    pub(super) shutdown: &'a CancellationToken,
}

impl Courier<'_> {
    /// Delivers a batch in its order; every letter of it is in the report.
    pub(super) async fn deliver(&self, open: &mut Option<Open>, batch: Vec<Claimed>) -> Report {
        let mut report = Report::default();
        let (work, proposals) = self.gather(batch, &mut report).await;
        if work.is_empty() {
            return report;
        }
        if let Err(error) = self.open(open, &proposals).await {
            report.broken = Some(error.to_string());
        } else if let Err(error) = self.audit(&work).await {
            // what leaves stands in the audit trail before it does, or stays
            let ends = work
                .into_iter()
                .map(|(claimed, _)| claimed.ended(index_failed(&error)));
            report.settled.extend(ends);
            return report;
        }
        let mut commit = Vec::new();
        for (claimed, task) in work {
            if self.shutdown.is_cancelled() && report.broken.is_none() {
                report.settled.push(claimed.ended(untried_now()));
                continue;
            }
            if report.broken.is_none()
                && let Err(error) = self.open(open, &proposals).await
            {
                report.broken = Some(error.to_string());
            }
            let end = match (&report.broken, open.as_mut()) {
                (None, Some(open)) => self.one(&mut open.client, &claimed, &task).await,
                (reason, _) => {
                    let reason = reason.clone().unwrap_or_default();
                    let end = unreachable(&claimed, &reason, self.forwarding.limits);
                    report.settled.push(claimed.ended(end));
                    continue;
                }
            };
            self.note(&mut report, &mut commit, claimed, &task, end);
            // a result may still come on an association that was asked: nothing else goes over it
            if matches!(task, Task::Commitment(_))
                && report.broken.is_none()
                && let Some(asked) = open.take()
            {
                asked.client.release().await;
            }
        }
        if report.broken.is_some()
            && let Some(open) = open.take()
        {
            open.client.abort().await;
        }
        report.follow.extend(commitment::letters(commit));
        report
    }

    /// Letters with what they need, and the contexts for it; the others are in the report.
    async fn gather(
        &self,
        batch: Vec<Claimed>,
        report: &mut Report,
    ) -> (Vec<(Claimed, Task)>, Vec<Proposal>) {
        let (mut work, mut proposals) = (Vec::new(), Vec::new());
        for claimed in batch {
            let task = match self.prepare(&claimed).await {
                Ok(task) => task,
                Err(end) => {
                    report.settled.push(claimed.ended(end));
                    continue;
                }
            };
            let proposal = task.proposal();
            if !proposals.contains(&proposal) {
                if proposals.len() >= CONTEXTS_MAX {
                    report.settled.push(claimed.ended(untried_now()));
                    continue;
                }
                proposals.push(proposal);
            }
            work.push((claimed, task));
        }
        (work, proposals)
    }

    /// One row for each study of a batch.
    async fn audit(&self, work: &[(Claimed, Task)]) -> Result<(), ArchiveError> {
        let mut studies: BTreeMap<&str, usize> = BTreeMap::new();
        for (claimed, task) in work {
            let study = match task {
                Task::Object(_, letter) => &letter.study,
                Task::Availability(_) => &claimed.letter.letter.subject,
                Task::Commitment(letter) => &letter.study,
            };
            *studies.entry(study).or_default() += 1;
        }
        let to = &self.endpoint.to;
        let entry = |(study, count): (&str, usize)| {
            let entry = AuditEntry::new(
                event::INSTANCES_TRANSFERRED,
                AuditAction::Read,
                to.called.as_str(),
            );
            let detail = format!("forward {count} to {}", to.address());
            entry.role("device").study(study).detail(detail)
        };
        let entries: Vec<AuditEntry> = studies.into_iter().map(entry).collect();
        self.forwarding.archive.audit().record_all(entries).await
    }

    /// An association on which everything can go that is wanted.
    async fn open(&self, open: &mut Option<Open>, wanted: &[Proposal]) -> Result<(), GatewayError> {
        if let Some(open) = open
            && wanted.iter().all(|proposal| open.proposed.contains(proposal))
        {
            return Ok(());
        }
        if let Some(old) = open.take() {
            old.client.release().await;
        }
        let client = Client::propose(&self.endpoint.to, wanted, self.endpoint.timeout).await?;
        *open = Some(Open {
            client,
            proposed: wanted.to_vec(),
        });
        Ok(())
    }

    /// What a letter needs from the archive, or its end.
    async fn prepare(&self, claimed: &Claimed) -> Result<Task, End> {
        let letter = &claimed.letter.letter;
        let unreadable = |_| End::GivenUp {
            error: "its content cannot be read".into(),
        };
        match letter.kind.as_str() {
            kind::STORE => {
                let content = serde_json::from_slice(&letter.payload).map_err(unreadable)?;
                let found = self.forwarding.archive.studies().instance(&letter.subject).await;
                let item = found
                    .map_err(|error| index_failed(&error))?
                    .ok_or_else(|| End::GivenUp {
                        error: "the object is not in the archive any more".into(),
                    })?;
                Ok(Task::Object(Box::new(item.instance), content))
            }
            kind::AVAILABILITY => {
                let study = self.study(&letter.subject).await?;
                Ok(Task::Availability(Box::new(study)))
            }
            kind::COMMITMENT => {
                let content = serde_json::from_slice(&letter.payload).map_err(unreadable)?;
                Ok(Task::Commitment(content))
            }
            other => Err(End::GivenUp {
                error: format!("nobody here delivers {other:?}"),
            }),
        }
    }

    async fn study(&self, study_uid: &str) -> Result<AvailableStudy, End> {
        let studies = self.forwarding.archive.studies();
        let series = studies
            .series_of(study_uid)
            .await
            .map_err(|error| index_failed(&error))?;
        let instances = studies.instances_of_study(study_uid).await;
        let instances = instances.map_err(|error| index_failed(&error))?;
        if instances.is_empty() || instances.len() > OBJECTS_MAX {
            let error = format!("the study has {} objects", instances.len());
            return Err(End::GivenUp { error });
        }
        let objects = |id| {
            let own = instances.iter().filter(move |instance| instance.series_id == id);
            own.map(|i| (i.sop_class_uid.clone(), i.sop_instance_uid.clone()))
                .collect()
        };
        Ok(AvailableStudy {
            study_uid: study_uid.to_owned(),
            series: series
                .into_iter()
                .map(|series| AvailableSeries {
                    objects: objects(series.id),
                    series_uid: series.series_uid,
                })
                .collect(),
        })
    }

    async fn one(&self, client: &mut Client, claimed: &Claimed, task: &Task) -> Sent {
        match task {
            Task::Object(instance, _) => self.object(client, instance).await,
            Task::Availability(study) => {
                let uid = format!("2.25.{}", uuid::Uuid::new_v4().as_u128());
                let told = availability::notify(client, &uid, study, &self.endpoint.to.calling).await;
                told.map_or_else(Sent::from, |()| Sent::Done)
            }
            Task::Commitment(letter) => commitment::ask(self.forwarding, client, claimed, letter).await,
        }
    }

    async fn object(&self, client: &mut Client, instance: &Instance) -> Sent {
        let pair = crate::scu::Pair {
            sop_class: instance.sop_class_uid.clone(),
            transfer_syntax: instance.transfer_syntax_uid.clone(),
        };
        let Some(context) = client.context(&pair) else {
            return Sent::Refused(format!(
                "it takes no objects of class {} in transfer syntax {}",
                pair.sop_class, pair.transfer_syntax
            ));
        };
        let message_id = client.next_message_id();
        let uid = Some(instance.sop_instance_uid.as_str());
        let request = dimse::request(field::C_STORE_RQ, message_id, &pair.sop_class, uid, true);
        let store = self.forwarding.archive.store();
        let pdu_bytes_max = client.peer_pdu_bytes_max;
        let sent = source::send(
            &mut client.wire,
            context,
            &request,
            (store, instance),
            pdu_bytes_max,
        );
        match sent.await {
            Ok(()) => {}
            Err(SourceError::Unreadable(why)) => return Sent::Refused(format!("it cannot be read: {why}")),
            Err(error) => return Sent::Broken(client.broken(error).to_string()),
        }
        match client.answer(message_id).await {
            Ok(answer) if status::is_done(answer.status) => Sent::Done,
            Ok(answer) => {
                let comment = answer.set.text(dataset::tags::ERROR_COMMENT);
                Sent::Refused(client.failed(answer.status, comment).to_string())
            }
            Err(error) => Sent::from(error),
        }
    }

    /// Puts the end of one letter into the report.
    fn note(
        &self,
        report: &mut Report,
        commit: &mut Vec<(NewLetter, StoreLetter, Reference)>,
        claimed: Claimed,
        task: &Task,
        sent: Sent,
    ) {
        let (result, end) = match sent {
            Sent::Done => {
                report.delivered += 1;
                if let Task::Object(instance, letter) = task
                    && letter.commit
                {
                    let reference = Reference {
                        sop_class: instance.sop_class_uid.clone(),
                        sop_instance: instance.sop_instance_uid.clone(),
                    };
                    commit.push((claimed.letter.letter.clone(), letter.clone(), reference));
                }
                ("delivered", End::Delivered)
            }
            Sent::Asked(wait) => {
                let error = "asked; the result has not come yet".to_owned();
                ("asked", self.failed(&claimed, error, wait))
            }
            Sent::Refused(error) => ("refused", self.failed(&claimed, error, Duration::ZERO)),
            Sent::Broken(error) => {
                report.broken = Some(error.clone());
                ("broken", self.failed(&claimed, error, Duration::ZERO))
            }
        };
        let destination = self.endpoint.name.clone();
        metrics::counter!("gongying_forward_total", "destination" => destination, "result" => result)
            .increment(1);
        match &end {
            End::GivenUp { error } => {
                let (letter, to) = (&claimed.letter.letter, &self.endpoint.name);
                warn!(destination = %to, kind = %letter.kind, subject = %letter.subject, "given up: {error}");
            }
            _ => {
                debug!(destination = %self.endpoint.name, subject = %claimed.letter.letter.subject, result, "letter")
            }
        }
        report.settled.push(claimed.ended(end));
    }

    /// A failed attempt: another one later, or none any more.
    fn failed(&self, claimed: &Claimed, error: String, wait_min: Duration) -> End {
        let attempts = claimed.letter.attempts + 1;
        if attempts >= self.forwarding.limits.attempts_max {
            return End::GivenUp { error };
        }
        let wait = wait_after(attempts, RETRY_FIRST, RETRY_MAX).max(wait_min);
        End::Retry { wait, error }
    }
}

/// The destination cannot be reached: not this letter's fault, unless it goes on for too long.
pub(super) fn unreachable(claimed: &Claimed, reason: &str, limits: Limits) -> End {
    let age = archive::UnixMicros::now().since(claimed.tried_since);
    if age > limits.age_max {
        let hours = age.as_secs() / 3600;
        let error = format!("not deliverable for {hours} h: {reason}");
        return End::GivenUp { error };
    }
    End::Untried {
        wait: Duration::ZERO,
        error: Some(reason.to_owned()),
    }
}

impl Task {
    fn proposal(&self) -> Proposal {
        match self {
            Self::Object(instance, _) => Proposal {
                transfer_syntaxes: vec![instance.transfer_syntax_uid.clone()],
                ..Proposal::service(&instance.sop_class_uid)
            },
            Self::Availability(_) => Proposal::service(availability::CLASS),
            Self::Commitment(_) => Proposal::service(crate::scu::commitment::CLASS),
        }
    }
}

fn untried_now() -> End {
    End::Untried {
        wait: Duration::ZERO,
        error: None,
    }
}

fn index_failed(error: &ArchiveError) -> End {
    End::Untried {
        wait: INDEX_WAIT,
        error: Some(error.to_string()),
    }
}
