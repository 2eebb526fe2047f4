//! Framing: PDUs and PDVs out of a byte stream, every wait under a deadline and every length
//! checked before anything is allocated.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::{ASSOCIATE_BYTES_MAX, AbortReason, HEADER_BYTES, P_DATA};

/// First read of a connection: most peers that say nothing useful cost no more than this.
const READ_BYTES_MIN: usize = 4 << 10;
/// Largest read, reached by doubling while the peer fills it.
const READ_BYTES_MAX: usize = 256 << 10;
/// Header of a PDV: length, context, control.
const PDV_HEADER_BYTES: usize = 6;
/// Bytes and time granted to a peer to see why its association ends.
const LINGER_BYTES_MAX: usize = 64 << 10;
const LINGER_TIME_MAX: Duration = Duration::from_millis(500);

/// Part of a message.
#[derive(Debug)]
pub(crate) struct Fragment {
    pub(crate) context: u8,
    pub(crate) is_command: bool,
    /// The message part (command or data set) ends here.
    pub(crate) last: bool,
    pub(crate) bytes: Bytes,
}

/// What came from the peer.
#[derive(Debug)]
pub(crate) enum Event {
    AssociateRq(Bytes),
    AssociateAc(Bytes),
    AssociateRj([u8; 3]),
    Data(Fragment),
    ReleaseRq,
    ReleaseRp,
    Abort,
    /// The peer closed the connection between PDUs.
    Closed,
}

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the peer was silent for too long")]
    Deadline,
    #[error("the peer closed the connection inside a PDU")]
    Cut,
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    #[error("protocol error: {1}")]
    Protocol(AbortReason, &'static str),
}

/// The PDV that is being read.
#[derive(Clone, Copy)]
struct OpenPdv {
    context: u8,
    control: u8,
    left: u32,
}

/// A connection as a stream of PDUs. One task owns it; dropping it closes the connection.
pub(crate) struct Wire<S> {
    stream: S,
    buffer: BytesMut,
    read_bytes: usize,
    /// Bytes left of the P-DATA-TF PDU that is being read.
    pdu_left: u32,
    pdv: Option<OpenPdv>,
    pdu_bytes_max: u32,
    write_timeout: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// `pdu_bytes_max` is what we told the peer; a longer P-DATA-TF is a protocol error.
    pub(crate) fn new(stream: S, pdu_bytes_max: u32, write_timeout: Duration) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            read_bytes: READ_BYTES_MIN,
            pdu_left: 0,
            pdv: None,
            pdu_bytes_max,
            write_timeout,
        }
    }

    /// The connection itself.
    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    /// Something has been read that no event has told yet.
    pub(crate) fn has_buffered(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Waits until something can be read; false at the end of the stream. Cancelling loses nothing.
    pub(crate) async fn peek(&mut self, deadline: Instant) -> Result<bool, WireError> {
        Ok(!self.buffer.is_empty() || self.fill(deadline).await?)
    }

    /// Reads once; false at the end of the stream.
    async fn fill(&mut self, deadline: Instant) -> Result<bool, WireError> {
        self.buffer.reserve(self.read_bytes);
        let read = timeout_at(deadline, self.stream.read_buf(&mut self.buffer));
        let count = read.await.map_err(|_| WireError::Deadline)??;
        if count >= self.read_bytes && self.read_bytes < READ_BYTES_MAX {
            self.read_bytes *= 2;
        }
        Ok(count > 0)
    }

    async fn want(&mut self, bytes: usize, deadline: Instant) -> Result<(), WireError> {
        while self.buffer.len() < bytes {
            if !self.fill(deadline).await? {
                return Err(WireError::Cut);
            }
        }
        Ok(())
    }

    /// Waits for the next event. Cancelling the returned future loses nothing.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Result<Event, WireError> {
        loop {
            if let Some(pdv) = self.pdv {
                return self.next_fragment(pdv, deadline).await.map(Event::Data);
            }
            if self.pdu_left > 0 {
                self.open_pdv(deadline).await?;
                continue;
            }
            if self.buffer.is_empty() && !self.fill(deadline).await? {
                return Ok(Event::Closed);
            }
            self.want(HEADER_BYTES, deadline).await?;
            let Some(&[kind, _, a, b, c, d]) = self.buffer.first_chunk::<HEADER_BYTES>() else {
                return Err(WireError::Cut);
            };
            let length = u32::from_be_bytes([a, b, c, d]);
            if kind == P_DATA {
                self.open_p_data(length)?;
                continue;
            }
            return self.control_pdu(kind, length, deadline).await;
        }
    }

    fn open_p_data(&mut self, length: u32) -> Result<(), WireError> {
        if length > self.pdu_bytes_max {
            return Err(WireError::Protocol(
                AbortReason::InvalidParameter,
                "a PDU is longer than agreed",
            ));
        }
        if length < 6 {
            return Err(WireError::Protocol(
                AbortReason::InvalidParameter,
                "a P-DATA PDU without a PDV",
            ));
        }
        self.buffer.advance(HEADER_BYTES);
        self.pdu_left = length;
        Ok(())
    }

    async fn open_pdv(&mut self, deadline: Instant) -> Result<(), WireError> {
        let bad = |words| Err(WireError::Protocol(AbortReason::InvalidParameter, words));
        if self.pdu_left < PDV_HEADER_BYTES as u32 {
            return bad("a PDU ends inside a PDV header");
        }
        self.want(PDV_HEADER_BYTES, deadline).await?;
        let Some(&[a, b, c, d, context, control]) = self.buffer.first_chunk::<PDV_HEADER_BYTES>() else {
            return Err(WireError::Cut);
        };
        let length = u32::from_be_bytes([a, b, c, d]);
        if length < 2 {
            return bad("a PDV is shorter than its header");
        }
        if length > self.pdu_left - 4 {
            return bad("a PDV is longer than its PDU");
        }
        self.buffer.advance(PDV_HEADER_BYTES);
        self.pdu_left -= 4 + length;
        self.pdv = Some(OpenPdv {
            context,
            control,
            left: length - 2,
        });
        Ok(())
    }

    /// What is there of the open PDV, at least one byte unless it is empty.
    async fn next_fragment(&mut self, pdv: OpenPdv, deadline: Instant) -> Result<Fragment, WireError> {
        if pdv.left > 0 {
            self.want(1, deadline).await?;
        }
        let count = self
            .buffer
            .len()
            .min(usize::try_from(pdv.left).unwrap_or(usize::MAX));
        let bytes = self.buffer.split_to(count).freeze();
        let left = pdv.left - u32::try_from(count).unwrap_or(pdv.left);
        self.pdv = (left > 0).then_some(OpenPdv { left, ..pdv });
        Ok(Fragment {
            context: pdv.context,
            is_command: pdv.control & 1 == 1,
            last: left == 0 && pdv.control & 2 == 2,
            bytes,
        })
    }

    async fn control_pdu(&mut self, kind: u8, length: u32, deadline: Instant) -> Result<Event, WireError> {
        let length_max = match kind {
            1 | 2 => ASSOCIATE_BYTES_MAX,
            3 | 5 | 6 | 7 => 4,
            _ => {
                return Err(WireError::Protocol(
                    AbortReason::UnrecognizedPdu,
                    "an unknown PDU type",
                ));
            }
        };
        if length > length_max || length < 4 {
            return Err(WireError::Protocol(
                AbortReason::InvalidParameter,
                "a PDU with an impossible length",
            ));
        }
        let total = HEADER_BYTES + usize::try_from(length).unwrap_or(usize::MAX);
        self.want(total, deadline).await?;
        let mut pdu = self.buffer.split_to(total).freeze();
        pdu.advance(HEADER_BYTES);
        Ok(match (kind, pdu.first_chunk::<4>()) {
            (1, _) => Event::AssociateRq(pdu),
            (2, _) => Event::AssociateAc(pdu),
            (3, Some(&[_, result, source, reason])) => Event::AssociateRj([result, source, reason]),
            (5, _) => Event::ReleaseRq,
            (6, _) => Event::ReleaseRp,
            _ => Event::Abort,
        })
    }

    /// Writes everything in one go, under the write deadline.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(self.write_timeout, write)
            .await
            .map_err(|_| WireError::Deadline)??;
        Ok(())
    }

    /// Says a last word and closes. What the peer still sends is read for a moment and thrown
    /// away: closing with unread bytes would reset the connection and take the word with it.
    pub(crate) async fn close_with(mut self, last_word: &[u8]) {
        if !last_word.is_empty() && self.write(last_word).await.is_err() {
            return;
        }
        let linger = async {
            self.stream.shutdown().await?;
            let mut taken = 0;
            while taken < LINGER_BYTES_MAX {
                self.buffer.clear();
                self.buffer.reserve(READ_BYTES_MIN);
                match self.stream.read_buf(&mut self.buffer).await? {
                    0 => break,
                    count => taken += count,
                }
            }
            Ok::<_, std::io::Error>(())
        };
        // an error or the deadline both mean that the peer had its chance
        let _ = timeout(LINGER_TIME_MAX, linger).await;
    }
}
