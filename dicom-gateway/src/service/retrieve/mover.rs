//! The sending side of a C-MOVE: an association with the destination, opened again when it breaks
//! or when it has no context for what comes next.

use std::collections::BTreeSet;
use std::time::Duration;

use archive::study::Instance;
use dataset::{DataSet, Vr, tags, uids};
use tracing::warn;

use super::Sub;
use super::route::{self, Form};
use super::source::{self, SourceError};
use crate::association::Peer;
use crate::dimse::{self, Command, field};
use crate::scu::{Client, Destination, Pair};
use crate::server::Gateway;

/// Presentation contexts of one association.
const CONTEXTS_MAX: usize = 128;
/// Attempts to reach a destination, and associations that may break, before it is given up.
const FAILURES_MAX: usize = 3;
/// Pause before another attempt.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Sends objects to one destination.
pub(super) struct Mover {
    to: Destination,
    /// Who asked, and with which message.
    originator: (String, u16),
    wait_max: Duration,
    open: Option<Open>,
    failures: usize,
}

struct Open {
    client: Client,
    proposed: BTreeSet<Pair>,
}

/// Why an object did not arrive.
enum Fault {
    /// Only this one.
    Object(String),
    /// The association is of no more use.
    Association(String),
}

fn pair(class: &str, syntax: &str) -> Pair {
    Pair {
        sop_class: class.to_owned(),
        transfer_syntax: syntax.to_owned(),
    }
}

fn stored(instance: &Instance) -> Pair {
    pair(&instance.sop_class_uid, &instance.transfer_syntax_uid)
}

/// What is proposed for the objects: each class in the syntaxes in which it is stored, and in those
/// that everybody takes.
fn proposals(instances: &[Instance], with_fallback: bool) -> BTreeSet<Pair> {
    let mut pairs = BTreeSet::new();
    for instance in instances {
        let mut own = vec![stored(instance)];
        if with_fallback {
            let common = [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN];
            own.extend(common.map(|syntax| pair(&instance.sop_class_uid, syntax)));
        }
        let new = own.iter().filter(|pair| !pairs.contains(*pair)).count();
        if pairs.len() + new > CONTEXTS_MAX {
            break;
        }
        pairs.extend(own);
    }
    pairs
}

impl Mover {
    pub(super) fn new<S>(peer: &Peer<S>, to: Destination, command: &Command) -> Self {
        Self {
            to,
            originator: (peer.calling.clone(), command.message_id),
            wait_max: peer.gateway.config.write_timeout,
            open: None,
            failures: 0,
        }
    }

    /// The destination failed too often; what is left fails at once.
    pub(super) fn gave_up(&self) -> bool {
        self.failures >= FAILURES_MAX
    }

    /// Sends the first of `rest`.
    pub(super) async fn send(&mut self, gateway: &Gateway, rest: &[Instance]) -> Sub {
        let Some(instance) = rest.first() else {
            return Sub::Failed;
        };
        while !self.gave_up() {
            let fault = match self.try_send(gateway, rest, instance).await {
                Ok(sub) => return sub,
                Err(fault) => fault,
            };
            let (to, uid) = (&self.to.called, &instance.sop_instance_uid);
            match fault {
                Fault::Object(words) => {
                    warn!(%to, sop_instance_uid = %uid, "C-MOVE: {words}");
                    return Sub::Failed;
                }
                Fault::Association(words) => {
                    warn!(%to, "C-MOVE: {words}");
                    if let Some(open) = self.open.take() {
                        open.client.abort().await;
                    }
                    self.failures += 1;
                    if !self.gave_up() {
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                }
            }
        }
        Sub::Failed
    }

    async fn try_send(
        &mut self,
        gateway: &Gateway,
        rest: &[Instance],
        instance: &Instance,
    ) -> Result<Sub, Fault> {
        if let Some(open) = self
            .open
            .take_if(|open| !open.proposed.contains(&stored(instance)))
        {
            open.client.release().await;
        }
        if self.open.is_none() {
            let proposed = proposals(rest, gateway.config.transcoder.is_some());
            let pairs: Vec<Pair> = proposed.iter().cloned().collect();
            let client = Client::open(&self.to, &pairs, self.wait_max)
                .await
                .map_err(|error| Fault::Association(error.to_string()))?;
            self.open = Some(Open { client, proposed });
        }
        let Some(Open { client, proposed }) = &mut self.open else {
            return Err(Fault::Association("no association".into()));
        };
        let offers: Vec<(&str, u8)> = proposed
            .iter()
            .filter(|pair| pair.sop_class == instance.sop_class_uid)
            .filter_map(|pair| Some((pair.transfer_syntax.as_str(), client.context(pair)?)))
            .collect();
        let transcoder = gateway.config.transcoder.as_deref();
        let Some((context, form)) = route::choose(&offers, &instance.transfer_syntax_uid, transcoder) else {
            let words = "the destination takes no form in which this object can be sent";
            return Err(Fault::Object(words.into()));
        };
        let message_id = client.next_message_id();
        let request = request(instance, message_id, &self.originator);
        send_one(client, gateway, (instance, &form), context, &request).await?;
        let answer = client
            .answer(message_id)
            .await
            .map_err(|error| Fault::Association(error.to_string()))?;
        Ok(Sub::from_status(answer.status))
    }

    /// Ends the association in order.
    pub(super) async fn end(self) {
        if let Some(open) = self.open {
            open.client.release().await;
        }
    }
}

fn request(instance: &Instance, message_id: u16, (title, asked_by): &(String, u16)) -> DataSet {
    let (class, uid) = (&instance.sop_class_uid, &instance.sop_instance_uid);
    let mut request = dimse::request(field::C_STORE_RQ, message_id, class, Some(uid), true);
    request.put_text(tags::MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE, Vr::AE, title);
    request.put_u16(tags::MOVE_ORIGINATOR_MESSAGE_ID, *asked_by);
    request
}

async fn send_one(
    client: &mut Client,
    gateway: &Gateway,
    (instance, form): (&Instance, &Form),
    context: u8,
    request: &DataSet,
) -> Result<(), Fault> {
    let object = (gateway, instance, form);
    let pdu_bytes_max = client.peer_pdu_bytes_max;
    match source::send_as(&mut client.wire, context, request, object, pdu_bytes_max).await {
        Ok(()) => Ok(()),
        Err(SourceError::Unreadable(words)) => Err(Fault::Object(words)),
        Err(error) => Err(Fault::Association(error.to_string())),
    }
}
