//! One association that we open.

use std::time::Duration;

use dataset::file;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::Destination;
use crate::GatewayError;
use crate::dimse::{self, Command};
use crate::pdu::{
    ABORT_BY_USER, APPLICATION_CONTEXT, AssociateAc, AssociateRq, ContextProposal, Event, RELEASE_RQ,
    Rejection, UserInformation, Wire,
};

/// What we take ourselves: answers only.
const PDU_BYTES_MAX: u32 = 64 << 10;
/// PDUs are written no longer than this whatever the peer takes.
const WRITE_PDU_BYTES_MAX: u32 = 128 << 10;
/// Time for the other side to agree to a release.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// A SOP class in one transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) sop_class: String,
    pub(crate) transfer_syntax: String,
}

/// An open association.
pub(crate) struct Client {
    pub(crate) wire: Wire<TcpStream>,
    address: String,
    /// Accepted pairs with their context.
    contexts: Vec<(Pair, u8)>,
    pub(crate) peer_pdu_bytes_max: u32,
    message_id: u16,
    timeout: Duration,
}

impl Client {
    /// Connects and proposes one context for each pair (at most 128).
    pub(crate) async fn open(
        to: &Destination,
        pairs: &[Pair],
        limit: Duration,
    ) -> Result<Self, GatewayError> {
        let address = to.address();
        let broken = |reason: String| GatewayError::Broken {
            address: to.address(),
            reason,
        };
        let connect = timeout(limit, TcpStream::connect((to.host.as_str(), to.port)));
        let stream = connect
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(|source| GatewayError::Connect {
                address: address.clone(),
                source,
            })?;
        stream
            .set_nodelay(true)
            .map_err(|error| broken(error.to_string()))?;
        let mut wire = Wire::new(stream, PDU_BYTES_MAX, limit);

        let request = request(to, pairs);
        let mut answer = async || {
            wire.write(&request.to_bytes()).await?;
            wire.next(Instant::now() + limit).await
        };
        let answer = match answer().await.map_err(|error| broken(error.to_string()))? {
            Event::AssociateAc(body) => {
                AssociateAc::parse(&body).ok_or_else(|| broken("its answer cannot be read".into()))?
            }
            Event::AssociateRj([result, source, reason]) => {
                let reason = Rejection {
                    result,
                    source,
                    reason,
                }
                .words()
                .into();
                return Err(GatewayError::Refused { address, reason });
            }
            Event::Abort | Event::Closed => return Err(broken("closed before it was accepted".into())),
            _ => return Err(broken("an answer that is none".into())),
        };
        let accepted = |id| {
            answer
                .contexts
                .iter()
                .any(|context| context.id == id && context.result == 0)
        };
        let contexts = numbered(pairs)
            .filter(|(_, id)| accepted(*id))
            .map(|(pair, id)| (pair.clone(), id))
            .collect();
        let peer_pdu_bytes_max = match answer.user.pdu_bytes_max {
            0 => WRITE_PDU_BYTES_MAX,
            other => other.clamp(64, WRITE_PDU_BYTES_MAX),
        };
        Ok(Self {
            wire,
            address,
            contexts,
            peer_pdu_bytes_max,
            message_id: 0,
            timeout: limit,
        })
    }

    /// Context on which a pair can be sent.
    pub(crate) fn context(&self, pair: &Pair) -> Option<u8> {
        self.contexts
            .iter()
            .find(|(known, _)| known == pair)
            .map(|(_, id)| *id)
    }

    /// A new message number.
    pub(crate) fn next_message_id(&mut self) -> u16 {
        self.message_id = self.message_id.checked_add(1).unwrap_or(1);
        self.message_id
    }

    pub(crate) fn broken(&self, reason: impl std::fmt::Display) -> GatewayError {
        GatewayError::Broken {
            address: self.address.clone(),
            reason: reason.to_string(),
        }
    }

    /// Writes bytes that are PDUs already.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), GatewayError> {
        let written = self.wire.write(bytes).await;
        written.map_err(|error| self.broken(error))
    }

    /// Waits for the answer to a message; data sets of answers are passed over.
    pub(crate) async fn answer(&mut self, message_id: u16) -> Result<Command, GatewayError> {
        let deadline = Instant::now() + self.timeout;
        let mut bytes = Vec::new();
        loop {
            let fragment = match self
                .wire
                .next(deadline)
                .await
                .map_err(|error| self.broken(error))?
            {
                Event::Data(fragment) => fragment,
                Event::Abort => return Err(self.broken("aborted by the other side")),
                Event::Closed => return Err(self.broken("closed by the other side")),
                _ => return Err(self.broken("a PDU that cannot come now")),
            };
            if !fragment.is_command {
                continue;
            }
            if bytes.len() + fragment.bytes.len() > dimse::COMMAND_BYTES_MAX {
                return Err(self.broken("an answer longer than any"));
            }
            bytes.extend_from_slice(&fragment.bytes);
            if fragment.last {
                let command = Command::parse(&bytes).map_err(|error| self.broken(error))?;
                if command.responded_id == message_id && command.field & dimse::field::RESPONSE != 0 {
                    return Ok(command);
                }
                bytes.clear();
            }
        }
    }

    /// Ends in order.
    pub(crate) async fn release(mut self) {
        // the work is done; a peer that does not answer changes nothing
        if self.wire.write(&RELEASE_RQ).await.is_ok() {
            let _ = self.wire.next(Instant::now() + RELEASE_TIMEOUT).await;
        }
        self.wire.close_with(&[]).await;
    }

    /// Ends at once.
    pub(crate) async fn abort(self) {
        self.wire.close_with(&ABORT_BY_USER).await;
    }
}

/// Pairs with their presentation context numbers: odd ones from 1.
fn numbered(pairs: &[Pair]) -> impl Iterator<Item = (&Pair, u8)> {
    pairs.iter().zip((1..=255_u8).step_by(2))
}

fn request(to: &Destination, pairs: &[Pair]) -> AssociateRq {
    AssociateRq {
        protocol_version: 1,
        called: to.called.as_str().into(),
        calling: to.calling.as_str().into(),
        application_context: APPLICATION_CONTEXT.into(),
        contexts: numbered(pairs)
            .map(|(pair, id)| ContextProposal {
                id,
                abstract_syntax: pair.sop_class.clone(),
                transfer_syntaxes: vec![pair.transfer_syntax.clone()],
            })
            .collect(),
        user: UserInformation {
            pdu_bytes_max: PDU_BYTES_MAX,
            implementation_class: file::IMPLEMENTATION_CLASS_UID.into(),
            implementation_version: file::IMPLEMENTATION_VERSION_NAME.into(),
            ..UserInformation::default()
        },
    }
}
