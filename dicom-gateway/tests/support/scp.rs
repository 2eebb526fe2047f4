//! A small receiver that answers everything with a status that the test chooses, and keeps what it
//! was sent. It knows the form of messages and nothing of their sense.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use dataset::{DataSet, TransferSyntaxUid, tags, write};
use dicom_gateway::scu::commitment;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{item, p_data, pdu, pdv};

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub field: u16,
    pub class: String,
    pub instance: String,
    pub syntax: String,
    pub data: Vec<u8>,
}

impl Seen {
    pub fn data_set(&self) -> DataSet {
        let syntax = TransferSyntaxUid::parse(&self.syntax).expect("syntax");
        dataset::stream::parse(&self.data, &syntax, dataset::Limits::default())
            .expect("data set")
            .data_set
    }
}

pub type Answer = dyn Fn(&Seen) -> u16 + Send + Sync;
/// The result of a storage commitment request, sent on the same association.
pub type Event = dyn Fn(&Seen) -> Option<commitment::Report> + Send + Sync;

#[derive(Clone)]
pub struct Scp {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    pub associations: Arc<Mutex<usize>>,
}

impl Scp {
    pub async fn start(answer: Arc<Answer>, event: Arc<Event>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let scp = Self {
            address: listener.local_addr().expect("address"),
            seen: Arc::default(),
            associations: Arc::default(),
        };
        let shared = scp.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *shared.associations.lock().expect("lock") += 1;
                let (seen, answer, event) = (shared.seen.clone(), answer.clone(), event.clone());
                tokio::spawn(async move {
                    // a sender that goes away ends it
                    let _ = serve(stream, &seen, &*answer, &*event).await;
                });
            }
        });
        scp
    }

    /// Answers everything with Success.
    pub async fn kind() -> Self {
        Self::start(Arc::new(|_| 0), Arc::new(|_| None)).await
    }

    pub fn fields(&self) -> Vec<u16> {
        self.seen
            .lock()
            .expect("lock")
            .iter()
            .map(|seen| seen.field)
            .collect()
    }
}

async fn receive(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut header = [0; 6];
    stream.read_exact(&mut header).await?;
    let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]) as usize;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((header[0], body))
}

fn items(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while let [kind, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        found.push((*kind, &rest[..length]));
        bytes = &rest[length..];
    }
    found
}

/// The acceptance of a request, and the transfer syntax of each context.
fn accept(body: &[u8]) -> (Vec<u8>, Vec<(u8, String)>) {
    let mut answer = body[..68].to_vec();
    answer.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    let mut contexts = Vec::new();
    for (kind, context) in items(&body[68..]) {
        if kind != 0x20 {
            continue;
        }
        let syntax = items(&context[4..]).into_iter().find(|(kind, _)| *kind == 0x40);
        let syntax = syntax.expect("a syntax").1;
        answer.extend(item(
            0x21,
            &[&[context[0], 0, 0, 0][..], &item(0x40, syntax)].concat(),
        ));
        contexts.push((context[0], String::from_utf8_lossy(syntax).into_owned()));
    }
    let user = [item(0x51, &65536_u32.to_be_bytes()), item(0x52, b"1.2.3")].concat();
    answer.extend(item(0x50, &user));
    (pdu(2, &answer), contexts)
}

fn seen_of(set: &DataSet, field: u16, context: u8, contexts: &[(u8, String)], data: Vec<u8>) -> Seen {
    let text = |a, b| set.text(a).or_else(|| set.text(b)).unwrap_or_default();
    let agreed = contexts.iter().find(|(id, _)| *id == context).expect("context");
    Seen {
        field,
        class: text(tags::AFFECTED_SOP_CLASS_UID, tags::REQUESTED_SOP_CLASS_UID),
        instance: text(tags::AFFECTED_SOP_INSTANCE_UID, tags::REQUESTED_SOP_INSTANCE_UID),
        syntax: agreed.1.clone(),
        data,
    }
}

fn reply_to(set: &DataSet, one: &Seen, status: u16) -> Vec<u8> {
    let id = u16::try_from(set.i64(tags::MESSAGE_ID).expect("id")).expect("16 bits");
    let mut reply = DataSet::new();
    reply.put_uid(tags::AFFECTED_SOP_CLASS_UID, &one.class);
    reply.put_u16(tags::COMMAND_FIELD, one.field | 0x8000);
    reply.put_u16(tags::MESSAGE_ID_BEING_RESPONDED_TO, id);
    reply.put_u16(tags::COMMAND_DATA_SET_TYPE, 0x0101);
    reply.put_u16(tags::STATUS, status);
    write::encode_command(&reply).expect("writable")
}

async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Seen>>,
    answer: &Answer,
    event: &Event,
) -> std::io::Result<()> {
    let (_, request) = receive(&mut stream).await?;
    let (acceptance, contexts) = accept(&request);
    stream.write_all(&acceptance).await?;
    let (mut command, mut data) = (Vec::new(), Vec::new());
    loop {
        let (kind, body) = receive(&mut stream).await?;
        match kind {
            4 => {}
            5 => return stream.write_all(&pdu(6, &[0; 4])).await,
            _ => return Ok(()),
        }
        let mut rest = &body[..];
        while rest.len() >= 6 {
            let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            let (context, control, part) = (rest[4], rest[5], &rest[6..4 + length]);
            rest = &rest[4 + length..];
            if control & 1 == 1 {
                command.extend_from_slice(part);
            } else {
                data.extend_from_slice(part);
            }
            if control & 2 == 0 {
                continue;
            }
            let set = write::decode_command(&command).expect("command");
            let has_data = set.i64(tags::COMMAND_DATA_SET_TYPE) != Some(0x0101);
            if has_data && control & 1 == 1 {
                continue;
            }
            let field = u16::try_from(set.i64(tags::COMMAND_FIELD).expect("field")).expect("16 bits");
            command.clear();
            let bytes = std::mem::take(&mut data);
            if field & 0x8000 != 0 {
                continue;
            }
            let one = seen_of(&set, field, context, &contexts, bytes);
            let status = answer(&one);
            let event = (field == 0x0130).then(|| event(&one)).flatten();
            seen.lock().expect("lock").push(one.clone());
            let reply = reply_to(&set, &one, status);
            stream.write_all(&p_data(&[pdv(context, 3, &reply)])).await?;
            if let Some(report) = event {
                let message = event_report(&report, context, &one.syntax);
                stream.write_all(&message).await?;
            }
        }
    }
}

fn event_report(report: &commitment::Report, context: u8, syntax: &str) -> Vec<u8> {
    let mut command = DataSet::new();
    command.put_uid(tags::AFFECTED_SOP_CLASS_UID, commitment::CLASS);
    command.put_u16(tags::COMMAND_FIELD, 0x0100);
    command.put_u16(tags::MESSAGE_ID, 1);
    command.put_u16(tags::COMMAND_DATA_SET_TYPE, 0);
    command.put_uid(tags::AFFECTED_SOP_INSTANCE_UID, commitment::INSTANCE);
    command.put_u16(tags::EVENT_TYPE_ID, report.event_type());
    let kind = TransferSyntaxUid::parse(syntax).expect("syntax").kind();
    let data = write::encode(&report.data_set(), kind).expect("writable");
    let command = write::encode_command(&command).expect("writable");
    p_data(&[pdv(context, 3, &command), pdv(context, 2, &data)])
}
