//! PDUs and command sets.

use crate::dimse::{self, Command, status};
use crate::pdu::{
    APPLICATION_CONTEXT, AssociateAc, AssociateRq, ContextAnswer, ContextProposal, Event, RoleSelection,
    UserIdentity, UserInformation, Wire, WireError, push_p_data,
};
use dataset::write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Sound inputs to start from: target and bytes.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let request = AssociateRq {
        protocol_version: 1,
        called: "GONGYING".into(),
        calling: "HEXI_CT".into(),
        application_context: APPLICATION_CONTEXT.into(),
        contexts: vec![ContextProposal {
            id: 1,
            abstract_syntax: "1.2.840.10008.5.1.4.1.1.2".into(),
            transfer_syntaxes: vec!["1.2.840.10008.1.2".into(), "1.2.840.10008.1.2.1".into()],
        }],
        user: UserInformation {
            pdu_bytes_max: 65536,
            implementation_class: "1.2.3".into(),
            implementation_version: "V".into(),
            roles: vec![RoleSelection {
                sop_class: "1.2.840.10008.5.1.4.1.1.2".into(),
                scu: false,
                scp: true,
            }],
            user_identity: Some(UserIdentity {
                kind: 2,
                wants_answer: true,
                primary: b"name".to_vec(),
                secondary: b"passcode".to_vec(),
            }),
            extended: Vec::new(),
            operations_window: None,
            identity_accepted: false,
        },
    };
    let answer = AssociateAc {
        called: "GONGYING".into(),
        calling: "HEXI_CT".into(),
        contexts: vec![ContextAnswer {
            id: 1,
            result: 0,
            transfer_syntax: "1.2.840.10008.1.2.1".into(),
        }],
        user: request.user.clone(),
    };
    let set = dimse::request(
        dimse::field::C_STORE_RQ,
        7,
        "1.2.840.10008.5.1.4.1.1.2",
        Some("1.2.3"),
        true,
    );
    let set = write::encode_command(&set).expect("a sound command");
    let (request, answer) = (request.to_bytes(), answer.to_bytes());
    let mut line = vec![3];
    line.extend(&request);
    push_p_data(&mut line, 1, true, true, &set, 64);
    push_p_data(&mut line, 1, false, true, &[7; 200], 100);
    line.extend([5, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    vec![
        ("associate", request[6..].to_vec()),
        ("associate", answer[6..].to_vec()),
        ("command", set),
        ("pdu", [&[1][..], &answer].concat()),
        ("pdu", line),
    ]
}

const PDU_BYTES_MAX: u32 = 4096;
const EVENTS_MAX: usize = 10_000;

/// A peer whose bytes come in pieces of one size.
struct Peer<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl AsyncRead for Peer<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let count = self.step.min(into.remaining()).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(count);
        into.put_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What was told, message parts put together: `(what, context, is command, bytes)`.
type Told = Vec<(u8, u8, bool, Vec<u8>)>;

/// Everything that the peer says, and how it ended.
async fn listen(bytes: &[u8], step: usize) -> (Told, String) {
    let mut wire = Wire::new(Peer { bytes, step }, PDU_BYTES_MAX, Duration::from_secs(60));
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut told: Told = Vec::new();
    let mut open = false;
    for _ in 0..EVENTS_MAX {
        let event = match wire.next(deadline).await {
            Ok(event) => event,
            Err(WireError::Cut) => return (told, "cut".into()),
            Err(error) => return (told, error.to_string()),
        };
        match event {
            Event::Data(fragment) => {
                assert!(fragment.bytes.len() <= PDU_BYTES_MAX as usize);
                let same = |(_, context, is_command, _): &&mut (u8, u8, bool, Vec<u8>)| {
                    open && (*context, *is_command) == (fragment.context, fragment.is_command)
                };
                match told.last_mut().filter(same) {
                    Some((_, _, _, all)) => all.extend_from_slice(&fragment.bytes),
                    None => told.push((4, fragment.context, fragment.is_command, fragment.bytes.to_vec())),
                }
                open = !fragment.last;
                continue;
            }
            Event::AssociateRq(body) => told.push((1, 0, false, body.to_vec())),
            Event::AssociateAc(body) => told.push((2, 0, false, body.to_vec())),
            Event::AssociateRj(words) => told.push((3, 0, false, words.to_vec())),
            Event::ReleaseRq => told.push((5, 0, false, Vec::new())),
            Event::ReleaseRp => told.push((6, 0, false, Vec::new())),
            Event::Abort => told.push((7, 0, false, Vec::new())),
            Event::Closed => return (told, "closed".into()),
        }
        open = false;
    }
    (told, "many".into())
}

/// The framing: in pieces the same is told as whole.
pub fn pdu(bytes: &[u8]) {
    let Some((&[step], rest)) = bytes.split_first_chunk::<1>() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let whole = listen(rest, usize::MAX).await;
        if whole.1 == "many" {
            return;
        }
        let pieces = listen(rest, usize::from(step).max(1)).await;
        if pieces.1 != "many" {
            assert_eq!(whole, pieces);
        }
        for (kind, _, _, body) in &whole.0 {
            match kind {
                1 | 2 => associate(body),
                4 => command(body),
                _ => {}
            }
        }
    });
}

/// Bodies of A-ASSOCIATE: what was read is written and read again the same.
pub fn associate(body: &[u8]) {
    if let Some(mut request) = AssociateRq::parse(body) {
        let bytes = request.to_bytes();
        let again = AssociateRq::parse(&bytes[6..]).expect("what was written can be read");
        // the writer knows one application context and one version
        request.application_context = APPLICATION_CONTEXT.into();
        request.protocol_version = 1;
        assert_eq!(again, request);
    }
    if let Some(answer) = AssociateAc::parse(body) {
        let bytes = answer.to_bytes();
        let again = AssociateAc::parse(&bytes[6..]).expect("what was written can be read");
        assert_eq!(again, answer);
    }
}

/// Command sets: whatever is asked, the answer can be written and read.
pub fn command(bytes: &[u8]) {
    let Ok(command) = Command::parse(bytes) else {
        return;
    };
    let answer = dimse::response(
        &command,
        status::OUT_OF_RESOURCES,
        Some(&command.sop_class),
        false,
    );
    let written = match write::encode_command(&answer) {
        Ok(written) => written,
        Err(error) => panic!("the answer cannot be written: {error}"),
    };
    let read = Command::parse(&written).expect("the answer can be read");
    assert_eq!(read.responded_id, command.message_id);
    assert_eq!(read.status, status::OUT_OF_RESOURCES);
    let mut message = Vec::new();
    dimse::push_message(&mut message, 1, &answer, Some(bytes), 1024).expect("an answer");
}
