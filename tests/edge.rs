//! A township node over a line that is cut at random, and killed in the middle: what a device was told is stored
//! arrives at the centre, once and equal; an ECG does not wait for images; worklist and devices come down.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use support::objects::{CT_IMAGE, Place, ct_slice, fresh_run};
use support::peer::{Association, EXPLICIT_LE, StoreRequest};
use support::{Product, eventually, run};

const SIDE: u16 = 256;
const SLICES: u32 = 24;
const CUTS: u32 = 6;
/// Bytes that may travel again for each cut.
const AGAIN_BYTES_MAX: u64 = 1_000_000;
/// Thin enough that the images are on their way while the line is cut.
const KBPS: u64 = 6000;

/// A TCP proxy whose connections can be cut.
struct Line {
    port: u16,
    down: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    up_bytes: Arc<AtomicU64>,
}

fn pump(mut from: TcpStream, mut to: TcpStream, count: Option<Arc<AtomicU64>>) {
    let mut buffer = [0u8; 8192];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if let Some(count) = &count {
            count.fetch_add(length as u64, Ordering::Relaxed);
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

impl Line {
    fn to(target: SocketAddr) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Line {
            port: listener.local_addr().unwrap().port(),
            down: Arc::default(),
            open: Arc::default(),
            up_bytes: Arc::default(),
        };
        let (down, open, up_bytes) = (line.down.clone(), line.open.clone(), line.up_bytes.clone());
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if down.load(Ordering::Relaxed) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(target) else {
                    continue;
                };
                let both = [near.try_clone().unwrap(), far.try_clone().unwrap()];
                open.lock().unwrap().extend(both);
                let (near2, far2, count) = (
                    near.try_clone().unwrap(),
                    far.try_clone().unwrap(),
                    up_bytes.clone(),
                );
                std::thread::spawn(move || pump(near, far, Some(count)));
                std::thread::spawn(move || pump(far2, near2, None));
            }
        });
        line
    }

    fn cut(&self, pause: Duration) {
        self.down.store(true, Ordering::Relaxed);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        std::thread::sleep(pause);
        self.down.store(false, Ordering::Relaxed);
    }
}

/// A running `gongying edge`; killed when dropped.
struct Node {
    child: Child,
    config: PathBuf,
    dicom: SocketAddr,
    http: SocketAddr,
}

impl Node {
    fn start(config: &Path) -> Node {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gongying"))
            .args(["edge", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (ready, wait) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines
                .map_while(Result::ok)
                .filter(|line| line.starts_with("READY "))
            {
                let _ = ready.send(line);
            }
        });
        let line = wait.recv_timeout(Duration::from_secs(60)).expect("READY");
        let field = |name: &str| {
            line.split_whitespace()
                .find_map(|w| w.strip_prefix(name))
                .unwrap()
                .parse()
                .unwrap()
        };
        Node {
            dicom: field("dicom="),
            http: field("http="),
            config: config.to_path_buf(),
            child,
        }
    }

    fn kill_and_start(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        *self = Node::start(&self.config.clone());
    }

    fn status(&self) -> serde_json::Value {
        support::http::Client::new(self.http).get("/api/status").json()
    }

    fn waiting(&self) -> u64 {
        let status = self.status();
        let queue = status["queue"].as_array().unwrap();
        queue.iter().map(|class| class["objects"].as_u64().unwrap()).sum()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(folder: &Path, line: &Line, token: &str, extra: &str) -> PathBuf {
    let centre = format!("http://127.0.0.1:{}", line.port);
    config_to(folder, &centre, token, extra)
}

fn config_to(folder: &Path, centre_url: &str, token: &str, extra: &str) -> PathBuf {
    let path = folder.join("edge.toml");
    let text = format!(
        "[dicom]\nae_title = \"GONGYING\"\n[http]\nlisten = \"127.0.0.1:0\"\n[log]\nfilter = \"warn\"\n[edge]\n\
         centre_url = \"{centre_url}\"\nenrolment_token = \"{token}\"\nspool_dir = \"{}\"\n\
         dicom_listen = \"127.0.0.1:0\"\n{extra}",
        folder.join("spool").display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn enrol(product: &Product) -> String {
    let (code, out, message) = run(&[
        "admin",
        "edge",
        "enrol",
        "--institution",
        "HEXI",
        "--data",
        product.data.to_str().unwrap(),
    ]);
    assert_eq!(code, Some(0), "{message}");
    let text = String::from_utf8(out).unwrap();
    text.split_whitespace().last().unwrap().to_owned()
}

/// Sends slices to the node until each was acknowledged; a killed node is tried again where it listens then.
fn send_all(to: &Mutex<SocketAddr>, places: &[Place], seed: u64) {
    let mut left = places.iter().enumerate();
    let mut next = left.next();
    let end = Instant::now() + Duration::from_secs(120);
    while next.is_some() && Instant::now() < end {
        let address = *to.lock().unwrap();
        let opened = Association::open(address, "HEXI_CT", "GONGYING", &[(CT_IMAGE, EXPLICIT_LE)]);
        let Ok(mut association) = opened else {
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        while let Some((k, place)) = next {
            let request = StoreRequest {
                sop_class_uid: CT_IMAGE,
                sop_instance_uid: &place.instance,
            };
            match association.store(&request, [ct_slice(place, SIDE, seed + k as u64)]) {
                Ok(0) => next = left.next(),
                Ok(status) => panic!("status {status:04X}"),
                Err(_) => break,
            }
        }
    }
    assert!(next.is_none(), "not everything was acknowledged");
}

#[test]
fn through_cuts_and_kills_everything_arrives_once_and_equal_and_little_travels_twice() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::start(&folder.path().join("centre"));
    let line = Line::to(product.http);
    let token = enrol(&product);
    let extra = format!("bandwidth_kbps = {KBPS}\n");
    let mut node = Node::start(&config(folder.path(), &line, &token, &extra));
    let (base, reader) = (fresh_run(), product.login("rad.writer"));
    let places: Vec<Place> = (1..=SLICES).map(|n| Place::new(base, 1, n)).collect();
    let address = Arc::new(Mutex::new(node.dicom));
    let (sent, list, to) = (Arc::new(AtomicBool::new(false)), places.clone(), address.clone());
    let done = sent.clone();
    let sender = std::thread::spawn(move || {
        send_all(&to, &list, base);
        done.store(true, Ordering::Relaxed);
    });
    for round in 0..CUTS {
        std::thread::sleep(Duration::from_millis(500 + 137 * u64::from(round)));
        match round % 3 {
            2 => {
                node.kill_and_start();
                *address.lock().unwrap() = node.dicom;
            }
            _ => line.cut(Duration::from_millis(200 + 150 * u64::from(round))),
        }
    }
    sender.join().unwrap();
    eventually(120, || (node.waiting() == 0).then_some(()))
        .unwrap_or_else(|| panic!("the queue runs empty: {}", node.status()));
    let study = format!("/dicomweb/studies/{}", places[0].study);
    let answer = reader.request(
        "GET",
        &format!("{study}/instances?limit=1000"),
        &[("Accept", "application/dicom+json")],
        &[],
    );
    assert_eq!(
        answer.json().as_array().unwrap().len(),
        places.len(),
        "each slice once"
    );
    let mut size = 0;
    for (k, place) in places.iter().enumerate() {
        let path = format!("{study}/series/{}/instances/{}", place.series, place.instance);
        let answer = reader.get(&path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let wanted = ct_slice(place, SIDE, base + k as u64);
        size += wanted.len() as u64;
        assert!(
            answer.body.windows(wanted.len()).any(|w| w == wanted),
            "{path} came with other bytes"
        );
    }
    let status = node.status();
    let up = line.up_bytes.load(Ordering::Relaxed);
    println!("{up} bytes travelled for {size}, {CUTS} cuts and kills; {status}");
    assert!(
        up <= size + AGAIN_BYTES_MAX * u64::from(CUTS),
        "{up} bytes for {size}"
    );
    // The manifest made the study ready, not a timer.
    let ready = eventually(30, || {
        let detail = reader.get(&format!("/api/studies/{}", places[0].study)).json();
        (detail["instances"] == SLICES || detail["series_list"].is_array()).then_some(())
    });
    assert!(ready.is_some());
    product.kill();
}

/// Ten seconds of two leads in EDF+.
fn cart_recording() -> Vec<u8> {
    let lead = |name: &str| engine::ecg::Lead {
        name: engine::ecg::LeadName::new(name),
        samples_uv: (0..5_000).map(|n| (n % 400) as f32).collect(),
        resolution_uv: 1.0,
        derived: false,
    };
    let mut record = engine::ecg::Record::new("edf", vec![lead("I"), lead("II")], 500.0).unwrap();
    record.patient.identifier = Some("CART-1".into());
    engine::ecg::formats::edf::write::write(&record).unwrap()
}

#[test]
fn the_line_may_be_down_from_the_start_and_the_watched_folder_and_worklist_work() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::start(&folder.path().join("centre"));
    let line = Line::to(product.http);
    let token = enrol(&product);
    let watched = folder.path().join("in");
    let extra = format!("watch_dir = \"{}\"\n", watched.display());
    let node = Node::start(&config(folder.path(), &line, &token, &extra));
    let status =
        eventually(20, || Some(node.status()).filter(|s| s["line"] == "up")).expect("the line is up");
    assert_eq!(status["institution"], "河西镇卫生院");
    line.down.store(true, Ordering::Relaxed);
    line.cut(Duration::ZERO);
    line.down.store(true, Ordering::Relaxed);
    // Offline: a file of the watched folder is taken, rubbish is refused with the reason.
    let (base, place) = (fresh_run(), Place::new(fresh_run(), 1, 1));
    let file = folder.path().join("made.dcm");
    std::fs::write(&file, part10(&place, ct_slice(&place, SIDE, base))).unwrap();
    std::fs::rename(&file, watched.join("made.dcm")).unwrap();
    std::fs::write(watched.join("record.hea"), "100 2 360 650000\n").unwrap();
    std::fs::write(watched.join("cart.edf"), cart_recording()).unwrap();
    eventually(30, || watched.join("accepted/made.dcm").exists().then_some(())).expect("the file is taken");
    eventually(30, || {
        watched.join("rejected/record.hea.txt").exists().then_some(())
    })
    .expect("rubbish is refused");
    eventually(30, || watched.join("accepted/cart.edf").exists().then_some(()))
        .expect("a cart's own format becomes an object");
    assert_eq!(node.waiting(), 2);
    // The gate has looked at the cart's recording although the line is down.
    let ecgs = eventually(10, || {
        let status = node.status();
        let ecgs = status["ecgs"].as_array()?.clone();
        (!ecgs.is_empty()).then_some(ecgs)
    })
    .expect("the gate's word");
    let (taken, looked) = (
        ecgs[0]["received_at"].as_i64().unwrap(),
        ecgs[0]["looked_at"].as_i64().unwrap(),
    );
    assert!(looked - taken < 1_000_000, "told within a second: {ecgs:?}");
    assert!(ecgs[0]["verdict"].is_string(), "{ecgs:?}");
    let page = support::http::Client::new(node.http).get("/").text();
    assert!(
        page.contains("线路中断") && page.contains("河西镇卫生院"),
        "{page}"
    );
    line.down.store(false, Ordering::Relaxed);
    eventually(60, || (node.waiting() == 0).then_some(())).expect("the queue runs empty");
    let reader = product.login("rad.writer");
    let path = format!("/dicomweb/studies/{}/instances", place.study);
    let found = reader
        .request("GET", &path, &[("Accept", "application/dicom+json")], &[])
        .json();
    assert_eq!(found.as_array().unwrap().len(), 1);
    // An association of a stranger is refused, one of the institution's devices is not.
    assert!(Association::open(node.dicom, "STRANGER", "GONGYING", &[(CT_IMAGE, EXPLICIT_LE)]).is_err());
    assert!(Association::open(node.dicom, "HEXI_ECG", "GONGYING", &[(CT_IMAGE, EXPLICIT_LE)]).is_ok());
    // Shut out: nothing more goes, and the node says so.
    let data = product.data.to_str().unwrap().to_owned();
    let name = node.status()["node"].as_str().unwrap().to_owned();
    let (code, _, message) = run(&["admin", "edge", "revoke", "--name", &name, "--data", &data]);
    assert_eq!(code, Some(0), "{message}");
    eventually(60, || (node.status()["line"] == "refused").then_some(())).expect("the node hears it");
    product.kill();
}

/// A TLS front of the centre, as the reverse proxy of a hospital is one, and the certificate of who signed it.
fn tls_front(target: SocketAddr) -> (u16, String) {
    use rustls::pki_types::PrivateKeyDer;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((near, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut near = acceptor.accept(near).await.ok()?;
                let mut far = tokio::net::TcpStream::connect(target).await.ok()?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await.ok()
            });
        }
    };
    std::thread::spawn(move || runtime.block_on(serve));
    (port, made.cert.pem())
}

#[test]
fn over_tls_objects_go_up_and_signed_reports_come_down() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::start(&folder.path().join("centre"));
    let (port, certificate) = tls_front(product.http);
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, certificate).unwrap();
    let (centre, token) = (format!("https://localhost:{port}"), enrol(&product));
    // Nobody vouches for this certificate: no word is said to whoever shows it.
    let stranger = folder.path().join("stranger");
    std::fs::create_dir(&stranger).unwrap();
    let node = Node::start(&config_to(&stranger, &centre, &token, ""));
    let line = eventually(20, || {
        Some(node.status()["line_error"].clone()).filter(|e| e.is_string())
    });
    let words = line.expect("a reason").to_string();
    assert!(words.contains("certificate"), "{words}");
    drop(node);
    let extra = format!("centre_ca = \"{}\"\n", authority.display());
    let node = Node::start(&config_to(folder.path(), &centre, &token, &extra));
    let (base, place) = (fresh_run(), Place::new(fresh_run(), 1, 1));
    send_all(&Mutex::new(node.dicom), std::slice::from_ref(&place), base);
    eventually(60, || (node.waiting() == 0).then_some(())).expect("the queue runs empty");
    let reader = product.login("rad.writer");
    let path = format!(
        "/dicomweb/studies/{}/series/{}/instances/{}",
        place.study, place.series, place.instance
    );
    assert_eq!(reader.get(&path).status, 200);
    // Write, review by another, sign; the township gets the paper.
    let study = format!("/api/studies/{}", place.study);
    let act = |who: &support::http::Client, what: &str| {
        let answer = who.post(&format!("{study}/{what}"), &serde_json::json!({}));
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    };
    eventually(30, || (reader.get(&study).status == 200).then_some(())).expect("the study is there");
    act(&reader, "claim");
    let draft =
        serde_json::json!({"findings": "双肺纹理清晰。", "impression": "未见异常。", "positive": false});
    reader.put(&format!("{study}/report/draft"), &draft, &[]);
    act(&reader, "report/submit");
    let reviewer = product.login("rad.reviewer");
    act(&reviewer, "claim");
    act(&reviewer, "report/sign");
    let listed = eventually(60, || {
        let status = node.status();
        let reports = status["reports"].as_array()?.clone();
        reports
            .into_iter()
            .find(|r| r["study_uid"] == place.study.as_str())
    });
    let version = listed.expect("the report is listed at the node")["version"].clone();
    // A centre without pages has no fonts, and so no paper.
    if reader.get(&format!("{study}/report.pdf")).status == 200 {
        let at = format!("/reports/{}/{version}.pdf", place.study);
        let paper = eventually(60, || {
            let answer = support::http::Client::new(node.http).get(&at);
            (answer.status == 200).then_some(answer)
        });
        assert!(
            paper
                .expect("the paper is at the node")
                .body
                .starts_with(b"%PDF-1.")
        );
    }
    product.kill();
}

/// A file with preamble and meta information around a data set.
fn part10(place: &Place, set: Vec<u8>) -> Vec<u8> {
    let mut meta = Vec::new();
    let mut add = |number, vr, value: &[u8]| meta.extend(support::objects::element(2, number, vr, value));
    add(1, "OB", &[0, 1]);
    add(2, "UI", CT_IMAGE.as_bytes());
    add(3, "UI", place.instance.as_bytes());
    add(0x10, "UI", EXPLICIT_LE.as_bytes());
    add(0x12, "UI", b"2.25.1");
    let mut file = vec![0u8; 128];
    file.extend(b"DICM");
    file.extend(support::objects::element(
        2,
        0,
        "UL",
        &(meta.len() as u32).to_le_bytes(),
    ));
    file.extend(meta);
    file.extend(set);
    file
}
