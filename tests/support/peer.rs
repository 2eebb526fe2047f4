//! A small DICOM sender of the tests' own, independent of the product's code: it speaks just enough of PS3.8 and
//! PS3.7 to associate, echo and store, and streams a data set of any size without holding it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub const VERIFICATION: &str = "1.2.840.10008.1.1";
pub const MODALITY_WORKLIST_FIND: &str = "1.2.840.10008.5.1.4.31";
pub const EXPLICIT_LE: &str = "1.2.840.10008.1.2.1";
pub const IMPLICIT_LE: &str = "1.2.840.10008.1.2";
const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
const PDU_BYTES_MAX: usize = 128 * 1024;
/// Status of an answer after which more come; its last bit says that keys were not matched (PS3.4 K.4.1.1.4).
const PENDING: u16 = 0xFF00;

/// One association; dropped without release it is a dead peer.
pub struct Association {
    stream: TcpStream,
    contexts: Vec<(u8, String)>,
    message_id: u16,
    peer_pdu_bytes_max: usize,
    /// PDVs that came in one PDU with those before them.
    unread: Vec<u8>,
}

/// What a store is about.
pub struct StoreRequest<'a> {
    pub sop_class_uid: &'a str,
    pub sop_instance_uid: &'a str,
}

pub fn item(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 0];
    out.extend((body.len() as u16).to_be_bytes());
    out.extend(body);
    out
}

pub fn padded(text: &str, to: usize, with: u8) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(bytes.len().max(to), with);
    bytes
}

pub fn even(text: &str) -> Vec<u8> {
    padded(text, text.len() + text.len() % 2, 0)
}

/// An implicit little endian element of a command set.
fn element(number: u16, value: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend(number.to_le_bytes());
    out.extend((value.len() as u32).to_le_bytes());
    out.extend(value);
    out
}

pub fn command(elements: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let body: Vec<u8> = elements.iter().flat_map(|(n, v)| element(*n, v)).collect();
    let mut out = element(0, &(body.len() as u32).to_le_bytes());
    out.extend(body);
    out
}

impl Association {
    /// Proposes one presentation context for each (abstract syntax, transfer syntax).
    pub fn open(
        to: SocketAddr,
        calling: &str,
        called: &str,
        contexts: &[(&str, &str)],
    ) -> io::Result<Association> {
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.set_write_timeout(Some(Duration::from_secs(60)))?;
        let mut body = vec![0, 1, 0, 0];
        body.extend(padded(called, 16, b' '));
        body.extend(padded(calling, 16, b' '));
        body.extend([0; 32]);
        body.extend(item(0x10, APPLICATION_CONTEXT.as_bytes()));
        for (index, (abstract_syntax, transfer_syntax)) in contexts.iter().enumerate() {
            let mut context = vec![(index * 2 + 1) as u8, 0, 0, 0];
            context.extend(item(0x30, abstract_syntax.as_bytes()));
            context.extend(item(0x40, transfer_syntax.as_bytes()));
            body.extend(item(0x20, &context));
        }
        let mut user = item(0x51, &(PDU_BYTES_MAX as u32).to_be_bytes());
        user.extend(item(0x52, b"1.2.826.0.1.3680043.9.9999.1"));
        body.extend(item(0x50, &user));
        stream.write_all(&pdu(1, &body))?;
        let (kind, answer) = read_pdu(&mut stream)?;
        if kind != 2 {
            return Err(io::Error::other(format!(
                "association answered by PDU {kind}: {answer:?}"
            )));
        }
        let (accepted, peer_pdu_bytes_max) = accepted_contexts(&answer);
        let names = contexts
            .iter()
            .enumerate()
            .map(|(i, c)| ((i * 2 + 1) as u8, c.0.to_string()));
        let contexts = names.filter(|(id, _)| accepted.contains(id)).collect();
        Ok(Association {
            stream,
            contexts,
            message_id: 0,
            peer_pdu_bytes_max,
            unread: Vec::new(),
        })
    }

    /// Whether the peer took this abstract syntax.
    pub fn offers(&self, abstract_syntax: &str) -> bool {
        self.context(abstract_syntax).is_ok()
    }

    fn context(&self, abstract_syntax: &str) -> io::Result<u8> {
        let found = self.contexts.iter().find(|(_, name)| name == abstract_syntax);
        found
            .map(|(id, _)| *id)
            .ok_or_else(|| io::Error::other(format!("{abstract_syntax} was not accepted")))
    }

    /// C-ECHO; the status.
    pub fn echo(&mut self) -> io::Result<u16> {
        let context = self.context(VERIFICATION)?;
        self.message_id += 1;
        let set = command(&[
            (0x0002, even(VERIFICATION)),
            (0x0100, 0x0030_u16.to_le_bytes().to_vec()),
            (0x0110, self.message_id.to_le_bytes().to_vec()),
            (0x0800, 0x0101_u16.to_le_bytes().to_vec()),
        ]);
        self.stream.write_all(&pdu(4, &pdv(context, 3, &set)))?;
        self.status()
    }

    /// C-STORE of a data set that `fill` writes piece by piece; the status.
    pub fn store(
        &mut self,
        request: &StoreRequest<'_>,
        pieces: impl IntoIterator<Item = Vec<u8>>,
    ) -> io::Result<u16> {
        self.begin_store(request)?;
        let context = self.context(request.sop_class_uid)?;
        let largest = self.peer_pdu_bytes_max.min(PDU_BYTES_MAX) - 6;
        for piece in pieces {
            for part in piece.chunks(largest) {
                self.stream.write_all(&pdu(4, &pdv(context, 0, part)))?;
            }
        }
        self.stream.write_all(&pdu(4, &pdv(context, 2, &[])))?;
        self.status()
    }

    /// Only the command of a C-STORE, for peers that stop half way.
    pub fn begin_store(&mut self, request: &StoreRequest<'_>) -> io::Result<()> {
        let context = self.context(request.sop_class_uid)?;
        self.message_id += 1;
        let set = command(&[
            (0x0002, even(request.sop_class_uid)),
            (0x0100, 0x0001_u16.to_le_bytes().to_vec()),
            (0x0110, self.message_id.to_le_bytes().to_vec()),
            (0x0700, 0_u16.to_le_bytes().to_vec()),
            (0x0800, 0x0001_u16.to_le_bytes().to_vec()),
            (0x1000, even(request.sop_instance_uid)),
        ]);
        self.stream.write_all(&pdu(4, &pdv(context, 3, &set)))
    }

    /// C-FIND with an explicit little endian identifier: what was found, and the last status.
    pub fn find(&mut self, sop_class_uid: &str, keys: &[u8]) -> io::Result<(Vec<Vec<u8>>, u16)> {
        let context = self.context(sop_class_uid)?;
        self.message_id += 1;
        let set = command(&[
            (0x0002, even(sop_class_uid)),
            (0x0100, 0x0020_u16.to_le_bytes().to_vec()),
            (0x0110, self.message_id.to_le_bytes().to_vec()),
            (0x0700, 0_u16.to_le_bytes().to_vec()),
            (0x0800, 0x0001_u16.to_le_bytes().to_vec()),
        ]);
        self.stream.write_all(&pdu(4, &pdv(context, 3, &set)))?;
        self.stream.write_all(&pdu(4, &pdv(context, 2, keys)))?;
        let mut found = Vec::new();
        loop {
            let status = self.status()?;
            if status & 0xFFFE != PENDING {
                return Ok((found, status));
            }
            found.push(self.message()?);
        }
    }

    fn status(&mut self) -> io::Result<u16> {
        status_of(&self.message()?)
    }

    /// The fragments of one command or data set up to its last.
    fn message(&mut self) -> io::Result<Vec<u8>> {
        let mut set = Vec::new();
        loop {
            if self.unread.is_empty() {
                let (kind, body) = read_pdu(&mut self.stream)?;
                if kind != 4 {
                    return Err(io::Error::other(format!("PDU {kind} in place of an answer")));
                }
                self.unread = body;
            }
            let head = &self.unread;
            let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let rest = self.unread.split_off(4 + length);
            let value = std::mem::replace(&mut self.unread, rest);
            set.extend(&value[6..]);
            if value[5] & 2 != 0 {
                return Ok(set);
            }
        }
    }

    /// A-RELEASE.
    pub fn release(mut self) -> io::Result<()> {
        self.stream.write_all(&pdu(5, &[0; 4]))?;
        let (kind, _) = read_pdu(&mut self.stream)?;
        if kind == 6 {
            Ok(())
        } else {
            Err(io::Error::other(format!("release answered by PDU {kind}")))
        }
    }
}

pub fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 0];
    out.extend((body.len() as u32).to_be_bytes());
    out.extend(body);
    out
}

pub fn pdv(context: u8, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut out = (data.len() as u32 + 2).to_be_bytes().to_vec();
    out.extend([context, flags]);
    out.extend(data);
    out
}

fn read_pdu(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 6];
    stream.read_exact(&mut head)?;
    let mut body = vec![0; u32::from_be_bytes([head[2], head[3], head[4], head[5]]) as usize];
    stream.read_exact(&mut body)?;
    Ok((head[0], body))
}

/// Ids of the accepted contexts and the longest PDU that the peer takes.
fn accepted_contexts(answer: &[u8]) -> (Vec<u8>, usize) {
    let (mut ids, mut longest, mut at) = (Vec::new(), 16 * 1024, 68);
    while at + 4 <= answer.len() {
        let length = u16::from_be_bytes([answer[at + 2], answer[at + 3]]) as usize;
        let body = &answer[at + 4..at + 4 + length];
        match answer[at] {
            0x21 if body[2] == 0 => ids.push(body[0]),
            0x50 if body.len() >= 8 && body[0] == 0x51 => {
                longest = u32::from_be_bytes([body[4], body[5], body[6], body[7]]) as usize;
            }
            _ => {}
        }
        at += 4 + length;
    }
    (ids, if longest == 0 { PDU_BYTES_MAX } else { longest })
}

fn status_of(set: &[u8]) -> io::Result<u16> {
    let mut at = 0;
    while at + 8 <= set.len() {
        let number = u16::from_le_bytes([set[at + 2], set[at + 3]]);
        let length = u32::from_le_bytes([set[at + 4], set[at + 5], set[at + 6], set[at + 7]]) as usize;
        if number == 0x0900 {
            return Ok(u16::from_le_bytes([set[at + 8], set[at + 9]]));
        }
        at += 8 + length;
    }
    Err(io::Error::other("an answer without a status"))
}
