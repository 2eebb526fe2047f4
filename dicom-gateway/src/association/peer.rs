//! One peer from its A-ASSOCIATE-RQ to its end. The task that runs this owns the connection and
//! everything the peer costs.

use std::net::SocketAddr;
use std::sync::Arc;

use archive::device::Device;
use bytes::Bytes;
use dataset::DataSet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Duration, Instant};
use tracing::{debug, info, warn};

use super::negotiate::{AcceptedContext, Service};
use super::{Origin, handshake};
use crate::dimse::{self, Command, field, status};
use crate::limits::HalfOpen;
use crate::pdu::{ABORT_BY_USER, AbortReason, Event, Fragment, RELEASE_RP, Wire, WireError};
use crate::server::Gateway;
use crate::service::{self, commitment};

/// How an association ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("released")]
    Released,
    #[error("aborted by the peer")]
    Aborted,
    #[error("closed by the peer without a release")]
    Closed,
    #[error("the gateway is shutting down")]
    Shutdown,
    #[error("{0}")]
    Wire(#[from] WireError),
}

impl Ended {
    pub(crate) fn protocol(words: &'static str) -> Self {
        Self::Wire(WireError::Protocol(AbortReason::UnexpectedPdu, words))
    }
}

/// A piece of a data set.
pub(crate) struct DataPiece {
    pub(crate) bytes: Bytes,
    /// The data set ends here.
    pub(crate) last: bool,
}

/// An association that was accepted.
pub(crate) struct Peer<S> {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) wire: Wire<S>,
    pub(crate) address: SocketAddr,
    pub(crate) calling: String,
    pub(crate) device: Device,
    pub(crate) contexts: Vec<AcceptedContext>,
    /// Longest PDU the peer takes.
    pub(crate) peer_pdu_bytes_max: u32,
    /// Results of storage commitments that were asked for here.
    pub(crate) notices: commitment::Notices,
    /// Bytes of data sets since `window`, for the slowest pace allowed.
    progress: (Instant, u64),
}

/// Serves a connection to its end.
pub(crate) async fn run<S>(stream: S, origin: Origin, gateway: Arc<Gateway>, half_open: HalfOpen)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Some((accepted, _place)) = handshake::accept(stream, &origin, &gateway, half_open).await else {
        return;
    };
    let address = origin.address;
    let mut peer = Peer {
        gateway,
        wire: accepted.wire,
        address,
        calling: accepted.calling,
        device: accepted.device,
        contexts: accepted.contexts,
        peer_pdu_bytes_max: accepted.peer_pdu_bytes_max,
        notices: commitment::Notices::default(),
        progress: (Instant::now(), 0),
    };
    let ended = match peer.serve().await {
        Ok(()) => Ended::Released,
        Err(ended) => ended,
    };
    peer.end(ended).await;
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Peer<S> {
    async fn end(self, ended: Ended) {
        let (calling, address) = (self.calling, self.address);
        match &ended {
            Ended::Released => debug!(%calling, %address, "association released"),
            Ended::Aborted | Ended::Shutdown => info!(%calling, %address, "association ended: {ended}"),
            Ended::Closed | Ended::Wire(_) => warn!(%calling, %address, "association ended: {ended}"),
        }
        let last_word: &[u8] = match ended {
            Ended::Released => &RELEASE_RP,
            Ended::Shutdown => &ABORT_BY_USER,
            Ended::Wire(WireError::Protocol(reason, _)) => &reason.to_bytes(),
            Ended::Wire(WireError::Deadline) => &AbortReason::NotSpecified.to_bytes(),
            Ended::Aborted | Ended::Closed | Ended::Wire(WireError::Cut | WireError::Io(_)) => return,
        };
        self.wire.close_with(last_word).await;
    }

    /// Messages until the association ends.
    async fn serve(&mut self) -> Result<(), Ended> {
        loop {
            if let Some(notice) = self.idle().await? {
                commitment::report_here(self, notice).await?;
                continue;
            }
            let Some((context, command)) = self.next_command().await? else {
                return Ok(());
            };
            self.carry_out(context, command).await?;
        }
    }

    /// Waits until the peer says something, or there is something to tell it.
    async fn idle(&mut self) -> Result<Option<commitment::Notice>, Ended> {
        if self.wire.has_buffered() || !self.notices.are_expected() {
            return Ok(None);
        }
        let deadline = Instant::now() + self.gateway.config.idle_timeout;
        tokio::select! {
            biased;
            readable = self.wire.peek(deadline) => readable.map(|_| None).map_err(Ended::from),
            notice = self.notices.next() => Ok(Some(notice)),
            () = self.gateway.shutdown.cancelled() => Err(Ended::Shutdown),
        }
    }

    async fn carry_out(&mut self, context: AcceptedContext, command: Command) -> Result<(), Ended> {
        match (command.field, context.service) {
            (field::C_ECHO_RQ, Service::Verification) => {
                self.drain(&context, &command).await?;
                self.answer(&context, &command, status::SUCCESS, None).await
            }
            (field::C_STORE_RQ, Service::Storage) => service::store::run(self, &context, &command).await,
            (field::C_FIND_RQ, Service::PatientFind | Service::StudyFind | Service::Worklist) => {
                service::find::run(self, &context, &command).await
            }
            (field::C_GET_RQ, Service::PatientGet | Service::StudyGet)
            | (field::C_MOVE_RQ, Service::PatientMove | Service::StudyMove) => {
                service::retrieve::run(self, &context, &command).await
            }
            (field::N_CREATE_RQ | field::N_SET_RQ, Service::PerformedStep)
            | (field::N_GET_RQ, Service::PerformedStepRetrieve) => {
                service::performed_step::run(self, &context, &command).await
            }
            (field::N_ACTION_RQ, Service::Commitment) => commitment::ask(self, &context, &command).await,
            (answer, Service::Commitment) if answer == field::N_EVENT_REPORT_RQ | field::RESPONSE => {
                self.drain(&context, &command).await?;
                self.notices.answered(&command);
                Ok(())
            }
            (field::N_EVENT_REPORT_RQ, Service::Commitment) => {
                commitment::take(self, &context, &command).await
            }
            // what it would cancel has been answered already
            (field::C_CANCEL_RQ, _) => Ok(()),
            (
                field::C_ECHO_RQ
                | field::C_STORE_RQ
                | field::C_FIND_RQ
                | field::C_GET_RQ
                | field::C_MOVE_RQ
                | field::N_CREATE_RQ
                | field::N_SET_RQ
                | field::N_GET_RQ
                | field::N_ACTION_RQ,
                _,
            ) => {
                self.drain(&context, &command).await?;
                let words = "the presentation context is of another service";
                self.answer(&context, &command, status::SOP_CLASS_NOT_SUPPORTED, Some(words))
                    .await
            }
            (other, _) if other & field::RESPONSE != 0 => {
                Err(Ended::protocol("an answer to nothing that was asked"))
            }
            _ => {
                self.drain(&context, &command).await?;
                self.answer(&context, &command, status::UNRECOGNISED_OPERATION, None)
                    .await
            }
        }
    }

    fn context(&self, id: u8) -> Result<AcceptedContext, Ended> {
        let found = self.contexts.iter().find(|context| context.id == id).cloned();
        found.ok_or(Ended::protocol("a presentation context that was not accepted"))
    }

    /// The next command, or `None` when the peer releases the association.
    pub(crate) async fn next_command(&mut self) -> Result<Option<(AcceptedContext, Command)>, Ended> {
        let shutdown = self.gateway.shutdown.clone();
        let idle = Instant::now() + self.gateway.config.idle_timeout;
        let first = tokio::select! {
            biased;
            event = self.wire.next(idle) => event?,
            () = shutdown.cancelled() => return Err(Ended::Shutdown),
        };
        let mut fragment = match first {
            Event::Data(fragment) => fragment,
            Event::ReleaseRq => return Ok(None),
            other => return Err(unexpected(&other)),
        };
        let context = self.context(fragment.context)?;
        let deadline = Instant::now() + self.gateway.config.request_timeout;
        let mut bytes = Vec::new();
        loop {
            check_fragment(&fragment, context.id, true)?;
            if bytes.len() + fragment.bytes.len() > dimse::COMMAND_BYTES_MAX {
                return Err(Ended::protocol("a command set longer than any"));
            }
            bytes.extend_from_slice(&fragment.bytes);
            if fragment.last {
                break;
            }
            let event = tokio::select! {
                biased;
                event = self.wire.next(deadline) => event?,
                () = shutdown.cancelled() => return Err(Ended::Shutdown),
            };
            fragment = match event {
                Event::Data(fragment) => fragment,
                other => return Err(unexpected(&other)),
            };
        }
        match Command::parse(&bytes) {
            Ok(command) => Ok(Some((context, command))),
            Err(error) => {
                warn!(calling = %self.calling, address = %self.address, "command set cannot be read: {error}");
                Err(Ended::Wire(WireError::Protocol(
                    AbortReason::InvalidParameter,
                    "a command set that cannot be read",
                )))
            }
        }
    }

    /// The next piece of the data set that follows a command on `context`.
    pub(crate) async fn next_data(&mut self, context: u8) -> Result<DataPiece, Ended> {
        let config = &self.gateway.config;
        let (since, bytes) = self.progress;
        if since.elapsed() >= config.progress_timeout {
            if bytes < config.progress_bytes_min {
                return Err(WireError::Deadline.into());
            }
            self.progress = (Instant::now(), 0);
        }
        let deadline = Instant::now() + config.progress_timeout;
        match self.wire.next(deadline).await? {
            Event::Data(fragment) => {
                check_fragment(&fragment, context, false)?;
                self.progress.1 += fragment.bytes.len() as u64;
                Ok(DataPiece {
                    bytes: fragment.bytes,
                    last: fragment.last,
                })
            }
            other => Err(unexpected(&other)),
        }
    }

    /// To be called before the first [`Peer::next_data`] of a data set.
    pub(crate) fn begin_data(&mut self) {
        self.progress = (Instant::now(), 0);
    }

    /// Reads the data set of a command that is not carried out.
    pub(crate) async fn drain(&mut self, context: &AcceptedContext, command: &Command) -> Result<(), Ended> {
        if command.has_data_set {
            self.begin_data();
            while !self.next_data(context.id).await?.last {}
        }
        Ok(())
    }

    /// A whole data set in memory; `None` when it is longer than `bytes_max` (it is read to its
    /// end all the same).
    pub(crate) async fn data_set(&mut self, context: u8, bytes_max: usize) -> Result<Option<Vec<u8>>, Ended> {
        self.begin_data();
        let (mut all, mut fits) = (Vec::new(), true);
        loop {
            let piece = self.next_data(context).await?;
            fits &= all.len() + piece.bytes.len() <= bytes_max;
            if fits {
                all.extend_from_slice(&piece.bytes);
            } else {
                all = Vec::new();
            }
            if piece.last {
                return Ok(fits.then_some(all));
            }
        }
    }

    /// Sends an answer without a data set, in one write.
    pub(crate) async fn answer(
        &mut self,
        context: &AcceptedContext,
        command: &Command,
        status: u16,
        comment: Option<&str>,
    ) -> Result<(), Ended> {
        let set = dimse::response(command, status, comment, false);
        self.respond(context, &set, None).await
    }

    /// Sends a response made elsewhere, in one write.
    pub(crate) async fn respond(
        &mut self,
        context: &AcceptedContext,
        response: &DataSet,
        data: Option<&[u8]>,
    ) -> Result<(), Ended> {
        let mut bytes = Vec::with_capacity(256);
        dimse::push_message(&mut bytes, context.id, response, data, self.peer_pdu_bytes_max)
            .map_err(|_| Ended::protocol("an answer that cannot be written"))?;
        self.wire.write(&bytes).await?;
        Ok(())
    }

    /// Has the peer sent a C-CANCEL for `message_id`? Does not wait.
    pub(crate) async fn cancelled(&mut self, message_id: u16) -> Result<bool, Ended> {
        if !self.wire.has_buffered() {
            let far = Instant::now() + self.gateway.config.write_timeout;
            match tokio::time::timeout(Duration::ZERO, self.wire.peek(far)).await {
                Err(_) => return Ok(false),
                Ok(more) => {
                    if !more? {
                        return Err(Ended::Closed);
                    }
                }
            }
        }
        match self.next_command().await? {
            Some((_, command)) if command.field == field::C_CANCEL_RQ => {
                Ok(command.responded_id == message_id)
            }
            Some(_) => Err(Ended::protocol("a request while another is being answered")),
            None => Err(Ended::protocol("a release while a request is being answered")),
        }
    }
}

fn check_fragment(fragment: &Fragment, context: u8, is_command: bool) -> Result<(), Ended> {
    if fragment.context != context {
        return Err(Ended::protocol("two presentation contexts in one message"));
    }
    match (fragment.is_command, is_command) {
        (true, false) => Err(Ended::protocol("a command inside a data set")),
        (false, true) => Err(Ended::protocol("a data set where a command was expected")),
        _ => Ok(()),
    }
}

fn unexpected(event: &Event) -> Ended {
    match event {
        Event::Abort => Ended::Aborted,
        Event::Closed => Ended::Closed,
        Event::ReleaseRq => Ended::protocol("a release inside a message"),
        _ => Ended::protocol("a PDU that cannot come now"),
    }
}
