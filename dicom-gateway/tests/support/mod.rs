//! A gateway on a loopback port over a fresh archive, and a peer that writes its PDUs by hand.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "test support"
)]

pub mod normalized;
pub mod scp;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use archive::Archive;
use archive::device::NewDevice;
use archive::institution::{Institution, InstitutionKind, NewInstitution};
use archive::testing::TemporaryFolder;
use dataset::{AeTitle, DataSet, tags};
use dicom_gateway::scu::Destination;
use dicom_gateway::{Config, Port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const VERIFICATION: &str = "1.2.840.10008.1.1";
pub const WORKLIST: &str = "1.2.840.10008.5.1.4.31";
pub const STUDY_FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
pub const PATIENT_FIND: &str = "1.2.840.10008.5.1.4.1.2.1.1";
pub const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";

/// Longest any single wait of a test may take.
const WAIT: Duration = Duration::from_secs(10);

pub struct Gateway {
    pub archive: Archive,
    pub address: SocketAddr,
    /// The second port, when it was asked for.
    pub tls_address: Option<SocketAddr>,
    pub institution: Institution,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<()>,
    folder: TemporaryFolder,
}

pub fn title(text: &str) -> AeTitle {
    AeTitle::parse(text).expect("valid AE title")
}

pub fn device(name: &str, institution: &Institution) -> NewDevice {
    NewDevice {
        name: name.into(),
        ae_title: name.into(),
        institution_id: institution.id,
        from_addr: None,
        may_store: true,
        may_query: true,
        may_retrieve: true,
        listener: None,
        expires_at: None,
    }
}

impl Gateway {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts one with the devices `JUDGE` (all rights) and `MUTE` (none).
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_tls(None, change).await
    }

    /// The same with a second port.
    pub async fn with_tls(
        tls: Option<std::sync::Arc<rustls::ServerConfig>>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let (archive, folder) = archive::testing::temporary(&[]).await.expect("archive");
        let institution = archive
            .institutions()
            .create(NewInstitution {
                code: "HEXI".into(),
                name_zh: "河西镇卫生院".into(),
                name_en: "Hexi Township Hospital".into(),
                kind: InstitutionKind::TownshipHospital,
            })
            .await
            .expect("institution");
        let devices = archive.devices();
        devices
            .create(device("JUDGE", &institution))
            .await
            .expect("device");
        let mute = NewDevice {
            may_store: false,
            may_query: false,
            may_retrieve: false,
            ..device("MUTE", &institution)
        };
        devices.create(mute).await.expect("device");
        let elsewhere = NewDevice {
            from_addr: Some("10.9.8.7".into()),
            ..device("ELSEWHERE", &institution)
        };
        devices.create(elsewhere).await.expect("device");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let address = listener.local_addr().expect("address");
        let mut ports = vec![Port { listener, tls: None }];
        let mut tls_address = None;
        if tls.is_some() {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
            tls_address = Some(listener.local_addr().expect("address"));
            ports.push(Port { listener, tls });
        }
        let mut config = Config::new(title("GONGYING"));
        change(&mut config);
        let shutdown = CancellationToken::new();
        let serve = dicom_gateway::serve(ports, archive.clone(), config, shutdown.clone());
        let task = tokio::spawn(async { serve.await.expect("gateway") });
        Self {
            archive,
            address,
            tls_address,
            institution,
            shutdown,
            task,
            folder,
        }
    }

    pub fn destination(&self) -> Destination {
        let host = self.address.ip().to_string();
        Destination::new(host, self.address.port(), title("GONGYING"), title("JUDGE"))
    }

    pub fn path(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub async fn echo(&self) -> Duration {
        let start = std::time::Instant::now();
        dicom_gateway::scu::echo(&self.destination(), WAIT)
            .await
            .expect("C-ECHO");
        start.elapsed()
    }

    pub async fn peer(&self, contexts: &[(&str, &[&str])]) -> Peer {
        let mut peer = Peer::connect(self.address).await;
        let (kind, _) = peer.associate("GONGYING", "JUDGE", contexts).await;
        assert_eq!(kind, 2, "association accepted");
        peer
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(WAIT, self.task)
            .await
            .expect("gateway ends in time")
            .expect("gateway ends well");
    }
}

/// Runs a DCMTK program; `None` when it is not installed.
pub async fn dcmtk(program: &str, arguments: &[String]) -> Option<(bool, String)> {
    let run = tokio::process::Command::new(program)
        .args(arguments)
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(Duration::from_secs(60), run)
        .await
        .expect("program ends in time")
    {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((
                output.status.success(),
                String::from_utf8_lossy(&text).into_owned(),
            ))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: {program} is not installed");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

pub fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

pub fn data() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("GONGYING_TEST_DATA") {
        return Some(PathBuf::from(path).join("dicom")).filter(|path| path.is_dir());
    }
    let found = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .flat_map(|up| [up.join("shared/data/dicom"), up.join("../shared/data/dicom")])
        .find(|path| path.is_dir());
    if found.is_none() {
        println!("skipped: test data not present");
    }
    found
}

pub fn item(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("short item");
    [&[kind, 0][..], &length.to_be_bytes(), body].concat()
}

pub fn associate_rq(called: &str, calling: &str, contexts: &[(&str, &[&str])]) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend_from_slice(format!("{called:16.16}{calling:16.16}").as_bytes());
    body.extend_from_slice(&[0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    for (index, (class, syntaxes)) in contexts.iter().enumerate() {
        let id = u8::try_from(2 * index + 1).expect("few contexts");
        let mut context = vec![id, 0, 0, 0];
        context.extend(item(0x30, class.as_bytes()));
        for syntax in *syntaxes {
            context.extend(item(0x40, syntax.as_bytes()));
        }
        body.extend(item(0x20, &context));
    }
    let user = [
        item(0x51, &65536_u32.to_be_bytes()),
        item(0x52, b"1.2.3"),
        item(0x55, b"TEST"),
    ]
    .concat();
    body.extend(item(0x50, &user));
    pdu(1, &body)
}

/// The request with one more item in its user information, which is its last item.
pub fn with_user_item(request: &[u8], kind: u8, value: &[u8]) -> Vec<u8> {
    let mut body = request[6..].to_vec();
    let last = body.windows(2).rposition(|pair| pair == [0x50, 0]);
    let at = last.expect("user information");
    let more = item(kind, value);
    let length = u16::from_be_bytes([body[at + 2], body[at + 3]]) + u16::try_from(more.len()).expect("short");
    body[at + 2..at + 4].copy_from_slice(&length.to_be_bytes());
    body.extend(more);
    pdu(1, &body)
}

pub fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("short PDU");
    [&[kind, 0][..], &length.to_be_bytes(), body].concat()
}

/// Control: 1 command, 2 last.
pub fn pdv(context: u8, control: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len() + 2).expect("short PDV");
    [&length.to_be_bytes()[..], &[context, control], bytes].concat()
}

pub fn p_data(pdvs: &[Vec<u8>]) -> Vec<u8> {
    pdu(4, &pdvs.concat())
}

pub fn command(field: u16, class: &str, instance: Option<&str>, data: bool) -> Vec<u8> {
    let mut set = DataSet::new();
    set.put_uid(tags::AFFECTED_SOP_CLASS_UID, class);
    set.put_u16(tags::COMMAND_FIELD, field);
    set.put_u16(tags::MESSAGE_ID, 7);
    set.put_u16(tags::PRIORITY, 0);
    set.put_u16(tags::COMMAND_DATA_SET_TYPE, if data { 0 } else { 0x0101 });
    if let Some(uid) = instance {
        set.put_uid(tags::AFFECTED_SOP_INSTANCE_UID, uid);
    }
    dataset::write::encode_command(&set).expect("writable")
}

/// What came back for a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// A response with its status, and its data set bytes when it has one.
    Status(u16, Option<Vec<u8>>),
    Abort,
    Closed,
    Released,
}

pub struct Peer {
    pub stream: TcpStream,
}

impl Peer {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connection");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream }
    }

    /// A write that may fail because the gateway has closed already.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next PDU; type 0 when the connection is closed.
    pub async fn receive(&mut self) -> (u8, Vec<u8>) {
        let read = async {
            let mut header = [0; 6];
            self.stream.read_exact(&mut header).await?;
            let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]);
            assert!(length < 1 << 20, "a PDU of ours is never that long");
            let mut body = vec![0; length as usize];
            self.stream.read_exact(&mut body).await?;
            Ok::<_, std::io::Error>((header[0], body))
        };
        tokio::time::timeout(WAIT, read)
            .await
            .expect("an answer in time")
            .unwrap_or((0, Vec::new()))
    }

    pub async fn associate(
        &mut self,
        called: &str,
        calling: &str,
        contexts: &[(&str, &[&str])],
    ) -> (u8, Vec<u8>) {
        self.send(&associate_rq(called, calling, contexts)).await;
        self.receive().await
    }

    /// The next response message.
    pub async fn reply(&mut self) -> Reply {
        let (mut bytes, mut data, mut status) = (Vec::new(), Vec::new(), None);
        loop {
            let (kind, body) = self.receive().await;
            match kind {
                4 => {}
                6 => return Reply::Released,
                7 => return Reply::Abort,
                _ => return Reply::Closed,
            }
            let mut rest = &body[..];
            while rest.len() >= 6 {
                let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
                let (control, part) = (rest[5], &rest[6..4 + length]);
                if control & 1 == 1 {
                    bytes.extend_from_slice(part);
                    if control & 2 == 2 {
                        let set = dataset::write::decode_command(&bytes).expect("command set");
                        let number = set.i64(tags::STATUS).expect("status");
                        let number = u16::try_from(number).expect("16 bits");
                        if set.i64(tags::COMMAND_DATA_SET_TYPE) == Some(0x0101) {
                            return Reply::Status(number, None);
                        }
                        status = Some(number);
                    }
                } else {
                    data.extend_from_slice(part);
                    if control & 2 == 2 {
                        return Reply::Status(status.expect("command before data"), Some(data));
                    }
                }
                rest = &rest[4 + length..];
            }
        }
    }
}
