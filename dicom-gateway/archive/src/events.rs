//! News for open pages and services inside this process.

use crate::ids::{InstitutionId, UnixMicros};
use serde::Serialize;
use tokio::sync::broadcast;

/// News kept for a listener that is slow; older ones are dropped for it.
const EVENTS_KEPT_MAX: usize = 1024;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The first object of a study came.
    StudyArrived,
    /// No more objects came for a while, or the manifest is complete.
    StudyReady,
    /// A reader took a study.
    Claimed,
    /// A reader gave a study back.
    Released,
    /// A report moved on.
    Report,
    /// A critical value moved on.
    CriticalValue,
    /// A result was recognised or refused.
    Recognition,
    /// A job's result is there.
    Derived,
    /// A new exam request.
    Order,
}

impl EventKind {
    /// The name under which pages listen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StudyArrived => "study_arrived",
            Self::StudyReady => "study_ready",
            Self::Claimed => "claimed",
            Self::Released => "released",
            Self::Report => "report",
            Self::CriticalValue => "critical_value",
            Self::Recognition => "recognition",
            Self::Derived => "derived",
            Self::Order => "order",
        }
    }
}

/// One piece of news.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: UnixMicros,
    /// Study Instance UID.
    pub study_uid: Option<String>,
    /// Whom it concerns: owner of the study and others. Listeners show it to these only.
    pub institution_ids: Vec<InstitutionId>,
    /// Further facts; no names.
    pub data: serde_json::Value,
}

impl Event {
    /// News of now.
    pub fn new(
        kind: EventKind,
        study_uid: impl Into<Option<String>>,
        institution_ids: Vec<InstitutionId>,
    ) -> Self {
        Self {
            kind,
            at: UnixMicros::now(),
            study_uid: study_uid.into(),
            institution_ids,
            data: serde_json::Value::Object(serde_json::Map::new()),
        }
    }

    /// Adds facts.
    pub fn data(mut self, data: serde_json::Value) -> Self {
        self.data = data;
        self
    }
}

/// Where news are published and heard.
#[derive(Clone)]
pub struct Events {
    sender: broadcast::Sender<Event>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            sender: broadcast::channel(EVENTS_KEPT_MAX).0,
        }
    }
}

impl Events {
    /// Hears news from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }

    /// Tells everyone who listens. Nobody listening is fine.
    pub fn publish(&self, event: Event) {
        let _ = self.sender.send(event);
    }
}
