//! One association that we open: contexts with roles, messages both ways.

use std::time::Duration;

use dataset::{DataSet, TransferSyntaxUid, file};
use tokio::time::Instant;

use super::Destination;
use super::connection::Connection;
use crate::GatewayError;
use crate::dimse::{self, Command};
use crate::pdu::{
    ABORT_BY_USER, APPLICATION_CONTEXT, AssociateAc, AssociateRq, ContextProposal, Event, Fragment,
    RELEASE_RP, RELEASE_RQ, Rejection, RoleSelection, UserInformation, Wire,
};

/// Longest PDU that we take.
const PDU_BYTES_MAX: u32 = 128 << 10;
/// PDUs are written no longer than this whatever the peer takes.
const WRITE_PDU_BYTES_MAX: u32 = 128 << 10;
/// Presentation contexts of one association.
pub(crate) const CONTEXTS_MAX: usize = 128;
/// Time for the other side to agree to a release.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// A SOP class in one transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) sop_class: String,
    pub(crate) transfer_syntax: String,
}

/// A presentation context to be proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) abstract_syntax: String,
    pub(crate) transfer_syntaxes: Vec<String>,
    /// The roles are swapped: the other side will ask, we answer (C-GET, storage commitment
    /// results).
    pub(crate) peer_is_scu: bool,
}

impl Proposal {
    /// A service that we use, in explicit or implicit VR little endian.
    pub(crate) fn service(abstract_syntax: &str) -> Self {
        Self {
            abstract_syntax: abstract_syntax.to_owned(),
            transfer_syntaxes: vec![
                TransferSyntaxUid::explicit_le().as_str().to_owned(),
                TransferSyntaxUid::implicit_le().as_str().to_owned(),
            ],
            peer_is_scu: false,
        }
    }

    fn pair(pair: &Pair) -> Self {
        Self {
            abstract_syntax: pair.sop_class.clone(),
            transfer_syntaxes: vec![pair.transfer_syntax.clone()],
            peer_is_scu: false,
        }
    }
}

/// A presentation context that the other side accepted.
#[derive(Debug, Clone)]
pub(crate) struct Agreed {
    pub(crate) id: u8,
    pub(crate) abstract_syntax: String,
    pub(crate) transfer_syntax: TransferSyntaxUid,
}

/// A message from the other side.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) context: u8,
    pub(crate) command: Command,
    pub(crate) data: Option<Vec<u8>>,
}

/// An open association.
pub(crate) struct Client {
    pub(crate) wire: Wire<Connection>,
    address: String,
    contexts: Vec<Agreed>,
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
        let proposals: Vec<Proposal> = pairs.iter().map(Proposal::pair).collect();
        Self::propose(to, &proposals, limit).await
    }

    /// Connects and proposes these contexts (at most 128). `limit` bounds each single wait of the
    /// association, now and later.
    pub(crate) async fn propose(
        to: &Destination,
        proposals: &[Proposal],
        limit: Duration,
    ) -> Result<Self, GatewayError> {
        let address = to.address();
        let broken = |reason: String| GatewayError::Broken {
            address: to.address(),
            reason,
        };
        let connection = Connection::open(to, limit).await?;
        let mut wire = Wire::new(connection, PDU_BYTES_MAX, limit);
        let request = request(to, proposals);
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
        let peer_pdu_bytes_max = match answer.user.pdu_bytes_max {
            0 => WRITE_PDU_BYTES_MAX,
            other => other.clamp(64, WRITE_PDU_BYTES_MAX),
        };
        Ok(Self {
            wire,
            address,
            contexts: agreed(proposals, &answer),
            peer_pdu_bytes_max,
            message_id: 0,
            timeout: limit,
        })
    }

    /// Context on which a pair can be sent.
    pub(crate) fn context(&self, pair: &Pair) -> Option<u8> {
        let fits = |known: &&Agreed| {
            known.abstract_syntax == pair.sop_class && known.transfer_syntax.as_str() == pair.transfer_syntax
        };
        self.contexts.iter().find(fits).map(|known| known.id)
    }

    /// Context of a service, or an error in words.
    pub(crate) fn agreed(&self, abstract_syntax: &str) -> Result<Agreed, GatewayError> {
        let found = self
            .contexts
            .iter()
            .find(|known| known.abstract_syntax == abstract_syntax);
        found.cloned().ok_or_else(|| GatewayError::NotOffered {
            address: self.address.clone(),
            service: abstract_syntax.to_owned(),
        })
    }

    /// An accepted context by its number.
    pub(crate) fn by_id(&self, id: u8) -> Result<&Agreed, GatewayError> {
        let found = self.contexts.iter().find(|known| known.id == id);
        found.ok_or_else(|| self.broken("a presentation context that was not agreed"))
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

    /// A failure status as an error.
    pub(crate) fn failed(&self, status: u16, comment: Option<String>) -> GatewayError {
        GatewayError::Failed {
            address: self.address.clone(),
            status,
            comment,
        }
    }

    /// Limit of each single wait.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Writes bytes that are PDUs already.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), GatewayError> {
        let written = self.wire.write(bytes).await;
        written.map_err(|error| self.broken(error))
    }

    /// Sends a message in one write.
    pub(crate) async fn request(
        &mut self,
        context: u8,
        command: &DataSet,
        data: Option<&[u8]>,
    ) -> Result<(), GatewayError> {
        let mut bytes = Vec::with_capacity(512);
        dimse::push_message(&mut bytes, context, command, data, self.peer_pdu_bytes_max)
            .map_err(|error| self.broken(error))?;
        self.write(&bytes).await
    }

    /// Answers a request of the other side, without a data set.
    pub(crate) async fn respond(
        &mut self,
        context: u8,
        command: &Command,
        status: u16,
        comment: Option<&str>,
    ) -> Result<(), GatewayError> {
        let response = dimse::response(command, status, comment, false);
        self.request(context, &response, None).await
    }

    /// The next piece of a message.
    pub(crate) async fn fragment(&mut self, wait: Duration) -> Result<Fragment, GatewayError> {
        let deadline = Instant::now() + wait;
        match self.wire.next(deadline).await {
            Ok(Event::Data(fragment)) => Ok(fragment),
            Ok(Event::Abort) => Err(self.broken("aborted by the other side")),
            Ok(Event::Closed) => Err(self.broken("closed by the other side")),
            Ok(Event::ReleaseRq) => {
                // it ends the association while we wait; a last courtesy
                let _ = self.wire.write(&RELEASE_RP).await;
                Err(self.broken("released by the other side"))
            }
            Ok(_) => Err(self.broken("a PDU that cannot come now")),
            Err(error) => Err(self.broken(error)),
        }
    }

    /// The next command; its data set, if it has one, is still to be read.
    pub(crate) async fn command(&mut self, wait: Duration) -> Result<(u8, Command), GatewayError> {
        self.wire.stream().acknowledge_quickly();
        let (mut bytes, mut context) = (Vec::new(), None);
        let end = Instant::now() + wait;
        loop {
            let fragment = self
                .fragment(end.saturating_duration_since(Instant::now()))
                .await?;
            if !fragment.is_command || context.is_some_and(|known| known != fragment.context) {
                return Err(self.broken("a data set where a command was expected"));
            }
            context = Some(fragment.context);
            if bytes.len() + fragment.bytes.len() > dimse::COMMAND_BYTES_MAX {
                return Err(self.broken("a command longer than any"));
            }
            bytes.extend_from_slice(&fragment.bytes);
            if fragment.last {
                let command = Command::parse(&bytes).map_err(|error| self.broken(error))?;
                return Ok((fragment.context, command));
            }
        }
    }

    /// The next piece of the data set that follows a command on `context`.
    pub(crate) async fn data_piece(&mut self, context: u8) -> Result<Fragment, GatewayError> {
        let fragment = self.fragment(self.timeout).await?;
        if fragment.is_command || fragment.context != context {
            return Err(self.broken("a command inside a data set"));
        }
        Ok(fragment)
    }

    /// The next message with its data set, which may have up to `data_bytes_max` bytes.
    pub(crate) async fn message(
        &mut self,
        wait: Duration,
        data_bytes_max: usize,
    ) -> Result<Message, GatewayError> {
        let (context, command) = self.command(wait).await?;
        if !command.has_data_set {
            return Ok(Message {
                context,
                command,
                data: None,
            });
        }
        let mut data = Vec::new();
        loop {
            let piece = self.data_piece(context).await?;
            if data.len() + piece.bytes.len() > data_bytes_max {
                return Err(self.broken(format!("an answer longer than {data_bytes_max} bytes")));
            }
            data.extend_from_slice(&piece.bytes);
            if piece.last {
                return Ok(Message {
                    context,
                    command,
                    data: Some(data),
                });
            }
        }
    }

    /// Waits for the answer to a message; data sets of answers are passed over.
    pub(crate) async fn answer(&mut self, message_id: u16) -> Result<Command, GatewayError> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (context, command) = self.command(left).await?;
            if command.has_data_set {
                while !self.data_piece(context).await?.last {}
            }
            if command.responded_id == message_id && command.field & dimse::field::RESPONSE != 0 {
                return Ok(command);
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

/// Proposals with their presentation context numbers: odd ones from 1.
fn numbered(proposals: &[Proposal]) -> impl Iterator<Item = (&Proposal, u8)> {
    proposals.iter().zip((1..=255_u8).step_by(2))
}

/// What of the proposals was accepted. A transfer syntax that was not proposed is none.
fn agreed(proposals: &[Proposal], answer: &AssociateAc) -> Vec<Agreed> {
    let accepted = |(proposal, id): (&Proposal, u8)| {
        let context = answer
            .contexts
            .iter()
            .find(|context| context.id == id && context.result == 0)?;
        if !proposal.transfer_syntaxes.contains(&context.transfer_syntax) {
            return None;
        }
        Some(Agreed {
            id,
            abstract_syntax: proposal.abstract_syntax.clone(),
            transfer_syntax: TransferSyntaxUid::parse(&context.transfer_syntax).ok()?,
        })
    };
    numbered(proposals).filter_map(accepted).collect()
}

fn request(to: &Destination, proposals: &[Proposal]) -> AssociateRq {
    let mut roles: Vec<RoleSelection> = Vec::new();
    for proposal in proposals.iter().filter(|proposal| proposal.peer_is_scu) {
        if !roles
            .iter()
            .any(|role| role.sop_class == proposal.abstract_syntax)
        {
            roles.push(RoleSelection {
                sop_class: proposal.abstract_syntax.clone(),
                scu: false,
                scp: true,
            });
        }
    }
    AssociateRq {
        protocol_version: 1,
        called: to.called.as_str().into(),
        calling: to.calling.as_str().into(),
        application_context: APPLICATION_CONTEXT.into(),
        contexts: numbered(proposals)
            .map(|(proposal, id)| ContextProposal {
                id,
                abstract_syntax: proposal.abstract_syntax.clone(),
                transfer_syntaxes: proposal.transfer_syntaxes.clone(),
            })
            .collect(),
        user: UserInformation {
            pdu_bytes_max: PDU_BYTES_MAX,
            implementation_class: file::IMPLEMENTATION_CLASS_UID.into(),
            implementation_version: file::IMPLEMENTATION_VERSION_NAME.into(),
            roles,
            ..UserInformation::default()
        },
    }
}
