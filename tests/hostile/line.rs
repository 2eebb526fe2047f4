//! A DICOM peer that says whatever it likes: PDUs are written by hand, and every read has a deadline.

use crate::support::peer::{command, even, item, padded, pdu, pdv};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";
pub const STUDY_FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
pub const DEFLATED_LE: &str = "1.2.840.10008.1.2.1.99";
pub const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
pub const RELEASE_RQ: [u8; 10] = [5, 0, 0, 0, 0, 4, 0, 0, 0, 0];
pub const ABORT: [u8; 10] = [7, 0, 0, 0, 0, 4, 0, 0, 0, 0];
const CONNECT_SECONDS_MAX: u64 = 5;
const ASSOCIATE_SECONDS_MAX: u64 = 10;
const PDU_BYTES_MAX: usize = 128 << 10;
const BODY_BYTES_MAX: usize = 16 << 20;

/// What a line brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Status of a DIMSE response.
    Status(u16),
    Accepted,
    Rejected,
    Aborted,
    Released,
    /// Another PDU.
    Pdu(u8),
    Closed,
    /// Nothing until the deadline.
    Silent,
}

impl Answer {
    /// The association was ended, in whichever form.
    pub fn ended(self) -> bool {
        matches!(self, Answer::Aborted | Answer::Closed | Answer::Rejected)
    }

    /// A DIMSE status that is not Success.
    pub fn refused(self) -> bool {
        matches!(self, Answer::Status(status) if status != 0)
    }
}

/// A-ASSOCIATE-RQ of these titles and contexts `(abstract syntax, transfer syntaxes)`.
pub fn associate_rq(calling: &str, called: &str, contexts: &[(&str, &[&str])]) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend(&padded(called, 16, b' ')[..16]);
    body.extend(&padded(calling, 16, b' ')[..16]);
    body.extend([0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    for (index, (abstract_syntax, syntaxes)) in contexts.iter().enumerate() {
        let mut context = vec![(index * 2 + 1) as u8, 0, 0, 0];
        context.extend(item(0x30, abstract_syntax.as_bytes()));
        for syntax in *syntaxes {
            context.extend(item(0x40, syntax.as_bytes()));
        }
        body.extend(item(0x20, &context));
    }
    let mut user = item(0x51, &(PDU_BYTES_MAX as u32).to_be_bytes());
    user.extend(item(0x52, b"1.2.826.0.1.3680043.9.9999.2"));
    body.extend(item(0x50, &user));
    pdu(1, &body)
}

/// A P-DATA-TF of one PDV.
pub fn data_pdu(context: u8, flags: u8, bytes: &[u8]) -> Vec<u8> {
    pdu(4, &pdv(context, flags, bytes))
}

/// Command set of a C-STORE-RQ.
pub fn store_command(class: &str, instance: &str) -> Vec<u8> {
    command(&[
        (0x0002, even(class)),
        (0x0100, 0x0001_u16.to_le_bytes().to_vec()),
        (0x0110, 1_u16.to_le_bytes().to_vec()),
        (0x0700, 0_u16.to_le_bytes().to_vec()),
        (0x0800, 0x0001_u16.to_le_bytes().to_vec()),
        (0x1000, even(instance)),
    ])
}

/// One connection.
pub struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
    pdu_bytes_max: usize,
}

impl Line {
    pub fn open(to: SocketAddr) -> io::Result<Line> {
        let stream = TcpStream::connect_timeout(&to, Duration::from_secs(CONNECT_SECONDS_MAX))?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(Duration::from_secs(CONNECT_SECONDS_MAX)))?;
        Ok(Line {
            stream,
            buffer: Vec::new(),
            pdu_bytes_max: 16 << 10,
        })
    }

    /// Connects and asks for an association; what came back beside the line.
    pub fn associate(to: SocketAddr, request: &[u8]) -> (Line, Answer) {
        let mut line = Line::open(to).expect("the port takes connections");
        line.send(request);
        let (kind, body) = match line.pdu(Duration::from_secs(ASSOCIATE_SECONDS_MAX)) {
            Ok(pdu) => pdu,
            Err(answer) => return (line, answer),
        };
        if kind == 2 {
            line.learn(&body);
        }
        (line, answer_of(kind))
    }

    fn learn(&mut self, body: &[u8]) {
        let mut at = 68;
        while at + 4 <= body.len() {
            let length = usize::from(u16::from_be_bytes([body[at + 2], body[at + 3]]));
            let value = &body[at + 4..at + 4 + length];
            match body[at] {
                0x50 if value[0] == 0x51 => {
                    let told = u32::from_be_bytes([value[4], value[5], value[6], value[7]]) as usize;
                    self.pdu_bytes_max = if told == 0 {
                        PDU_BYTES_MAX
                    } else {
                        told.min(PDU_BYTES_MAX)
                    };
                }
                _ => {}
            }
            at += 4 + length;
        }
    }

    /// False when the peer does not take it any more.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next PDU, type and body.
    pub fn pdu(&mut self, wait: Duration) -> Result<(u8, Vec<u8>), Answer> {
        let end = Instant::now() + wait;
        let head = self.take(6, end)?;
        let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]) as usize;
        assert!(length <= BODY_BYTES_MAX, "a PDU of {length} bytes came back");
        Ok((head[0], self.take(length, end)?))
    }

    fn take(&mut self, bytes: usize, end: Instant) -> Result<Vec<u8>, Answer> {
        let mut chunk = [0; 16 << 10];
        while self.buffer.len() < bytes {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
                return Err(Answer::Silent);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Answer::Closed),
                Ok(count) => self.buffer.extend(&chunk[..count]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(Answer::Silent);
                }
                Err(_) => return Err(Answer::Closed),
            }
        }
        Ok(self.buffer.drain(..bytes).collect())
    }

    /// The next thing that the peer says; of a DIMSE response its status.
    pub fn answer(&mut self, wait: Duration) -> Answer {
        let end = Instant::now() + wait;
        let mut set = Vec::new();
        loop {
            let (kind, body) = match self.pdu(end.saturating_duration_since(Instant::now())) {
                Ok(pdu) => pdu,
                Err(answer) => return answer,
            };
            if kind != 4 {
                return answer_of(kind);
            }
            let mut rest = body.as_slice();
            while rest.len() >= 6 {
                let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
                if rest[5] & 1 == 1 {
                    set.extend(&rest[6..4 + length]);
                }
                if rest[5] & 3 == 3 {
                    if let Some(status) = status_of(&set) {
                        return Answer::Status(status);
                    }
                    set.clear();
                }
                rest = &rest[4 + length..];
            }
        }
    }

    /// A message part as PDUs that the peer takes.
    pub fn frames(&self, context: u8, is_command: bool, bytes: &[u8]) -> Vec<u8> {
        let room = self.pdu_bytes_max - 6;
        let count = bytes.len().div_ceil(room).max(1);
        let mut out = Vec::with_capacity(bytes.len() + count * 12);
        for index in 0..count {
            let piece = &bytes[index * room..bytes.len().min((index + 1) * room)];
            let flags = u8::from(is_command) | if index + 1 == count { 2 } else { 0 };
            out.extend(data_pdu(context, flags, piece));
        }
        out
    }

    /// C-STORE on presentation context 1.
    pub fn store(&mut self, class: &str, instance: &str, data_set: &[u8], wait: Duration) -> Answer {
        let request = self.frames(1, true, &store_command(class, instance));
        let data = self.frames(1, false, data_set);
        if !self.send(&request) || !self.send(&data) {
            // what it said before it closed counts
            return self.answer(Duration::from_secs(1));
        }
        self.answer(wait)
    }

    /// C-FIND on presentation context 1: how many answers, and the last status.
    pub fn find(&mut self, identifier: &[u8], wait: Duration) -> (usize, Answer) {
        let request = command(&[
            (0x0002, even(STUDY_FIND)),
            (0x0100, 0x0020_u16.to_le_bytes().to_vec()),
            (0x0110, 1_u16.to_le_bytes().to_vec()),
            (0x0700, 0_u16.to_le_bytes().to_vec()),
            (0x0800, 0x0001_u16.to_le_bytes().to_vec()),
        ]);
        let (request, data) = (self.frames(1, true, &request), self.frames(1, false, identifier));
        self.send(&request);
        self.send(&data);
        let (mut count, end) = (0, Instant::now() + wait);
        loop {
            match self.answer(end.saturating_duration_since(Instant::now())) {
                Answer::Status(0xff00 | 0xff01) => count += 1,
                last => return (count, last),
            }
        }
    }
}

fn answer_of(kind: u8) -> Answer {
    match kind {
        2 => Answer::Accepted,
        3 => Answer::Rejected,
        6 => Answer::Released,
        7 => Answer::Aborted,
        other => Answer::Pdu(other),
    }
}

fn status_of(set: &[u8]) -> Option<u16> {
    let mut at = 0;
    while at + 8 <= set.len() {
        let number = u16::from_le_bytes([set[at + 2], set[at + 3]]);
        let length = u32::from_le_bytes([set[at + 4], set[at + 5], set[at + 6], set[at + 7]]) as usize;
        if number == 0x0900 {
            return Some(u16::from_le_bytes([set[at + 8], set[at + 9]]));
        }
        at += 8 + length;
    }
    None
}
