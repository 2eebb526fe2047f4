//! Sending on: rules choose, the outbox keeps, lanes deliver.
//!
//! **Promises:** a letter is in the outbox before the object that it is about is acknowledged, and
//! leaves it only when the other side has answered, when it was given up (an operator sees it), or
//! when an operator dropped it. One destination that stalls never delays another: each has lanes of
//! its own, and waits of its own. STAT goes before URGENT before ROUTINE before bulk. After a crash
//! delivery goes on; what was under way may be sent a second time, never forgotten.

mod commitment;
mod deliver;
mod lane;
mod rules;
mod schedule;
mod supervise;
#[cfg(test)]
mod tests;

pub use commitment::commitment_result;
pub use rules::{Check, Conditions, Explanation, Route, RouteError, RouteTable, What, When};
pub use schedule::Zone;
pub use supervise::run;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use archive::Archive;
use dataset::AeTitle;
use serde::{Deserialize, Serialize};

use crate::scu::Destination;

/// Destinations of DICOM in the outbox begin with this.
pub const OUTBOX_PREFIX: &str = "dicom:";
/// Associations with one destination at once, when nothing else is said.
pub const ASSOCIATIONS_DEFAULT: usize = 2;
/// Limit of a single wait, when nothing else is said.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Kinds of letters.
pub(crate) mod kind {
    /// An object; the subject is its SOP Instance UID.
    pub(crate) const STORE: &str = "store";
    /// A study; the subject is its Study Instance UID.
    pub(crate) const AVAILABILITY: &str = "availability";
    /// Objects to be answered for; the subject is the stem of the transaction UIDs.
    pub(crate) const COMMITMENT: &str = "commitment";
}

/// What the letter about an object says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreLetter {
    /// Rule that wanted it.
    pub(crate) route: String,
    /// Its study.
    pub(crate) study: String,
    /// Storage commitment is asked afterwards.
    #[serde(default)]
    pub(crate) commit: bool,
    /// How often it was sent again because the other side does not answer for it.
    #[serde(default)]
    pub(crate) round: u32,
}

/// Name of a destination in the outbox.
pub fn outbox_name(destination: &str) -> String {
    format!("{OUTBOX_PREFIX}{destination}")
}

/// A destination with its limits.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Name in rules.
    pub name: String,
    /// Whom to talk to and as whom.
    pub to: Destination,
    /// Associations at once, 1 to 16.
    pub associations: usize,
    /// Limit of each single wait.
    pub timeout: Duration,
}

/// When delivery gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Attempts of one letter at a destination that answers.
    pub attempts_max: i64,
    /// Age of a letter whose destination cannot be reached.
    pub age_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempts_max: 12,
            age_max: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// What delivery works with; clones share it.
#[derive(Clone)]
pub struct Forwarding {
    archive: Archive,
    endpoints: Arc<HashMap<String, Endpoint>>,
    calling: AeTitle,
    limits: Limits,
}

impl Forwarding {
    /// Delivery to `endpoints` and to enrolled devices that have a listener, as `calling`.
    pub fn new(archive: Archive, endpoints: Vec<Endpoint>, calling: AeTitle, limits: Limits) -> Self {
        let named = endpoints
            .into_iter()
            .map(|endpoint| (endpoint.name.clone(), endpoint));
        Self {
            archive,
            endpoints: Arc::new(named.collect()),
            calling,
            limits,
        }
    }

    /// A configured destination, or an enrolled device by its AE title.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub async fn endpoint(&self, name: &str) -> Result<Endpoint, String> {
        if let Some(known) = self.endpoints.get(name) {
            return Ok(known.clone());
        }
        let device = self.archive.devices().by_ae_title(name).await;
        let device = device.map_err(|why| format!("{name} is no configured destination, and {why}"))?;
        let listener = device
            .listener
            .ok_or_else(|| format!("the enrolled device {name} has no listener (HOST:PORT)"))?;
        let called = AeTitle::parse(&device.ae_title).map_err(|error| error.to_string())?;
        let to = Destination::parse(&listener, called, self.calling.clone());
        Ok(Endpoint {
            name: name.to_owned(),
            to: to.ok_or_else(|| format!("{listener:?}, the listener of {name}, is not HOST:PORT"))?,
            associations: ASSOCIATIONS_DEFAULT,
            timeout: TIMEOUT_DEFAULT,
        })
    }
}
