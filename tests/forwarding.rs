//! What is routed is delivered: a node is killed in the middle of sending on, starts again, and the
//! other side has every object. And what an operator sees of it on the command line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::objects::{CT_IMAGE, Place, ct_slice, fresh_run};
use support::peer::{Association, EXPLICIT_LE, StoreRequest};
use support::{eventually, run};

const OBJECTS: u32 = 60;
const SIDE: u16 = 64;
/// Letters of one batch, that a crash may cause to be sent twice, on each of two associations.
const TWICE_MAX: usize = 2 * 64;

/// A receiver of C-STORE that takes its time and counts how often each object came.
struct Slow {
    address: SocketAddr,
    came: Arc<Mutex<BTreeMap<String, usize>>>,
}

fn read_pdu(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut header = [0; 6];
    stream.read_exact(&mut header)?;
    let mut body = vec![0; u32::from_be_bytes([header[2], header[3], header[4], header[5]]) as usize];
    stream.read_exact(&mut body)?;
    Ok((header[0], body))
}

fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, 0][..], &length, body].concat()
}

fn item(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, 0][..], &length, body].concat()
}

/// The acceptance of every proposed context.
fn acceptance(request: &[u8]) -> Vec<u8> {
    let mut body = request[..68].to_vec();
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    let mut rest = &request[68..];
    while rest.len() >= 4 {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let inner = &rest[4..4 + length];
        if rest[0] == 0x20 {
            let at = inner.windows(2).skip(4).position(|w| w == [0x40, 0]).unwrap() + 4;
            body.extend(item(0x21, &[&[inner[0], 0, 0, 0][..], &inner[at..]].concat()));
        }
        rest = &rest[4 + length..];
    }
    body.extend(item(0x50, &item(0x51, &32768_u32.to_be_bytes())));
    pdu(2, &body)
}

/// Value of an element of a command set, which is implicit VR little endian.
fn element(command: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = command;
    while rest.len() >= 8 {
        let length = u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]) as usize;
        if u16::from_le_bytes([rest[2], rest[3]]) == wanted {
            return rest.get(8..8 + length);
        }
        rest = rest.get(8 + length..)?;
    }
    None
}

fn success(command: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut put = |element: u16, value: &[u8]| {
        body.extend(
            [
                &[0, 0][..],
                &element.to_le_bytes(),
                &u32::try_from(value.len()).unwrap().to_le_bytes(),
                value,
            ]
            .concat(),
        );
    };
    put(0x0100, &0x8001_u16.to_le_bytes());
    put(0x0120, element(command, 0x0110).unwrap());
    put(0x0800, &0x0101_u16.to_le_bytes());
    put(0x0900, &0_u16.to_le_bytes());
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&[0, 0, 0, 0, 4, 0, 0, 0][..], &length, &body].concat()
}

impl Slow {
    fn start(pause: Duration) -> Slow {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let slow = Slow {
            address: listener.local_addr().unwrap(),
            came: Arc::default(),
        };
        let came = slow.came.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let came = came.clone();
                // a sender that is killed ends it
                std::thread::spawn(move || Slow::serve(stream, pause, &came).ok());
            }
        });
        slow
    }

    fn serve(
        mut stream: TcpStream,
        pause: Duration,
        came: &Mutex<BTreeMap<String, usize>>,
    ) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let (_, request) = read_pdu(&mut stream)?;
        stream.write_all(&acceptance(&request))?;
        let mut command = Vec::new();
        loop {
            let (kind, body) = read_pdu(&mut stream)?;
            if kind == 5 {
                return stream.write_all(&pdu(6, &[0; 4]));
            }
            let mut rest = &body[..];
            while rest.len() >= 6 {
                let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
                let (context, control, part) = (rest[4], rest[5], &rest[6..4 + length]);
                rest = &rest[4 + length..];
                match control {
                    3 => command = part.to_vec(),
                    2 => {
                        std::thread::sleep(pause);
                        let uid = String::from_utf8_lossy(element(&command, 0x1000).unwrap());
                        *came
                            .lock()
                            .unwrap()
                            .entry(uid.trim_matches('\0').to_owned())
                            .or_default() += 1;
                        let reply = success(&command);
                        let length = u32::try_from(reply.len() + 2).unwrap().to_be_bytes();
                        stream.write_all(&pdu(4, &[&length[..], &[context, 3], &reply].concat()))?;
                    }
                    _ => {}
                }
            }
        }
    }

    fn count(&self) -> usize {
        self.came.lock().unwrap().len()
    }
}

struct Node {
    child: Child,
    dicom: SocketAddr,
}

impl Node {
    fn start(config: &Path) -> Node {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gongying"))
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).find(|line| line.starts_with("READY"));
        let ready = ready.expect("the node says READY");
        let dicom = ready
            .split_whitespace()
            .find_map(|word| word.strip_prefix("dicom="))
            .unwrap();
        Node {
            dicom: dicom.parse().unwrap(),
            child,
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configured(folder: &Path, receiver: SocketAddr) -> PathBuf {
    let path = folder.join("node.toml");
    let text = format!(
        r#"
roles = ["gateway"]
[dicom]
listen = "127.0.0.1:0"
[archive]
index = "sqlite:{0}/index.sqlite"
objects = "file:{0}/objects"
data_dir = "{0}/state"
[log]
filter = "warn"
[[destination]]
name = "province"
address = "{receiver}"
ae_title = "PROVINCE"
[[route]]
name = "CT to the province"
match = {{ modality = ["CT"], institution = ["HEXI"] }}
to = ["province"]
[[route]]
name = "ultrasound at night"
match = {{ modality = ["US"], hours = "18:00-08:00" }}
to = ["province"]
when = "study_complete"
"#,
        folder.display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn admin(config: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let all = [&["admin"][..], arguments, &["--config", config.to_str().unwrap()]].concat();
    let (code, out, err) = run(&all);
    (code, String::from_utf8(out).unwrap(), err)
}

/// An institution and its CT.
fn enrol(config: &Path) {
    let institution = [
        "institution",
        "create",
        "--code",
        "HEXI",
        "--name",
        "河西镇卫生院",
        "--kind",
        "township_hospital",
    ];
    let device = [
        "device",
        "create",
        "--name",
        "CT",
        "--aet",
        "HEXI_CT",
        "--institution",
        "HEXI",
    ];
    for arguments in [&institution[..], &device[..]] {
        let (code, _, err) = admin(config, arguments);
        assert_eq!(code, Some(0), "{err}");
    }
}

/// Sends slices as the CT; all of them are acknowledged.
fn send(to: SocketAddr) -> Vec<Place> {
    let base = fresh_run();
    let contexts = [(CT_IMAGE, EXPLICIT_LE)];
    let mut association = Association::open(to, "HEXI_CT", "GONGYING", &contexts).unwrap();
    let places: Vec<Place> = (1..=OBJECTS).map(|n| Place::new(base, 1, n)).collect();
    for place in &places {
        let request = StoreRequest {
            sop_class_uid: CT_IMAGE,
            sop_instance_uid: &place.instance,
        };
        let status = association.store(&request, [ct_slice(place, SIDE, 1)]);
        assert_eq!(status.unwrap(), 0);
    }
    places
}

#[test]
fn killed_while_sending_on_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let slow = Slow::start(Duration::from_millis(25));
    let config = configured(folder.path(), slow.address);
    enrol(&config);

    let node = Node::start(&config);
    let places = send(node.dicom);
    eventually(30, || (slow.count() >= 5).then_some(())).expect("sending on has begun");
    node.kill();
    let before = slow.count();
    println!("killed when {before} of {OBJECTS} had arrived");
    assert!(
        before < places.len(),
        "the node was killed too late to prove anything"
    );

    let node = Node::start(&config);
    eventually(60, || (slow.count() == places.len()).then_some(()))
        .expect("everything arrives after the restart");
    eventually(30, || {
        let (code, out, _) = admin(&config, &["outbox", "list", "--json"]);
        (code == Some(0) && out.is_empty()).then_some(())
    })
    .expect("the outbox is empty");
    let came = slow.came.lock().unwrap().clone();
    for place in &places {
        assert!(
            came.contains_key(&place.instance),
            "{} is missing",
            place.instance
        );
    }
    let twice = came.values().filter(|count| **count > 1).count();
    println!("{twice} objects came twice");
    assert!(came.values().all(|count| *count <= 2) && twice <= TWICE_MAX);

    let (code, out, err) = admin(&config, &["route", "test", "--study", &places[0].study]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("CT to the province: matches") && out.contains("ultrasound at night: does not match"),
        "{out}"
    );
    assert!(out.contains("no  modality: wants US; the study has CT"), "{out}");
    node.kill();
}

#[test]
fn what_cannot_be_delivered_is_seen_tried_again_and_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = configured(folder.path(), nobody);
    let (code, _, err) = admin(&config, &["echo", "province"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot be reached"), "{err}");
    let (code, _, err) = admin(&config, &["echo", "NOBODY"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("no configured destination"), "{err}");
    for (arguments, words) in [
        (&["outbox", "drop", "4711"][..], "4711"),
        (&["outbox", "retry", "4711"], "4711"),
        (
            &["outbox", "retry", "--destination", "province"],
            "nothing was given up",
        ),
        (&["route", "test", "--study", "1.2.3"], "not found"),
        (&["query", "province"], "nothing is asked"),
    ] {
        let (code, _, err) = admin(&config, arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {err}");
        assert!(err.contains(words), "{arguments:?}: {err}");
    }
    let text = std::fs::read_to_string(&config)
        .unwrap()
        .replace("to = [\"province\"]", "to = [\"provence\"]");
    std::fs::write(&config, text).unwrap();
    let (code, _, err) = run(&["serve", "--config", config.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(err.contains("unknown destination \"provence\""), "{err}");
}
