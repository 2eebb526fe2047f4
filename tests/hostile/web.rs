//! HTTP that is too long, too much, or none: refused with a 4xx or by closing, and the next request is served.

use super::Row;
use super::line::Answer;
use super::target::{Target, instance_path};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(8);
const HEALTH_MAX: Duration = Duration::from_secs(1);
const FLOOD_MIB: usize = 64;
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// What a raw exchange brought.
#[derive(Debug)]
pub struct Exchange {
    bytes: Vec<u8>,
    closed: bool,
    taken: usize,
}

impl Exchange {
    /// Status of an HTTP answer.
    pub fn status(&self) -> Option<u16> {
        let text = self.text();
        let line = text.strip_prefix("HTTP/1.")?;
        line.split(' ').nth(1)?.parse().ok()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The line was closed by the peer.
    pub fn closed(&self) -> bool {
        self.closed
    }

    fn whole(&self) -> bool {
        let text = self.text();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return false;
        };
        let length = head.lines().find_map(|l| {
            l.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        length.is_some_and(|l: usize| body.len() >= l)
    }
}

/// Sends these pieces as far as the peer takes them, then reads one answer or until the line closes.
pub fn exchange(to: SocketAddr, pieces: impl IntoIterator<Item = Vec<u8>>, wait: Duration) -> Exchange {
    let mut stream = TcpStream::connect_timeout(&to, wait).expect("the port takes connections");
    stream.set_write_timeout(Some(wait)).unwrap();
    let mut out = Exchange {
        bytes: Vec::new(),
        closed: false,
        taken: 0,
    };
    for piece in pieces {
        if stream.write_all(&piece).is_err() {
            break;
        }
        out.taken += piece.len();
    }
    let end = Instant::now() + wait;
    let mut chunk = [0; 16 << 10];
    while out.bytes.len() < ANSWER_BYTES_MAX && !out.whole() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left)).unwrap();
        match stream.read(&mut chunk) {
            Ok(0) => out.closed = true,
            Ok(count) => out.bytes.extend(&chunk[..count]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(_) => out.closed = true,
        }
        if out.closed {
            break;
        }
    }
    out
}

/// The service answers others at once.
pub fn assert_serving(target: &Target) {
    let start = Instant::now();
    assert_eq!(target.product.anonymous().get("/healthz").status, 200);
    assert!(start.elapsed() < HEALTH_MAX, "health after {:?}", start.elapsed());
}

const LOGIN: &str = "POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

pub fn rows() -> Vec<Row> {
    vec![
        refused("header_of_1_mib", || {
            vec![format!(
                "GET / HTTP/1.1\r\nHost: x\r\nX-A: {}\r\n\r\n",
                "a".repeat(1 << 20)
            )]
        }),
        refused("20000_headers", || {
            let headers: String = (0..20_000).map(|i| format!("X-{i}: a\r\n")).collect();
            vec![format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n")]
        }),
        refused("request_line_of_1_mib", || {
            vec![format!(
                "GET /{} HTTP/1.1\r\nHost: x\r\n\r\n",
                "a".repeat(1 << 20)
            )]
        }),
        refused("address_of_20_kib", || {
            vec![format!(
                "GET /{} HTTP/1.1\r\nHost: x\r\n\r\n",
                "a".repeat(20 << 10)
            )]
        }),
        refused("content_length_of_4_gib_on_login", || {
            let mut pieces = vec![format!("{LOGIN}Content-Length: 4294967296\r\n\r\n{{")];
            pieces.extend(vec!["a".repeat(1 << 20); FLOOD_MIB]);
            pieces
        }),
        refused("content_length_negative", || {
            vec![format!("{LOGIN}Content-Length: -1\r\n\r\n")]
        }),
        refused("content_length_twice", || {
            vec![format!(
                "{LOGIN}Content-Length: 2\r\nContent-Length: 40\r\n\r\n{{}}"
            )]
        }),
        refused("endless_chunks_on_login", || {
            let mut pieces = vec![format!("{LOGIN}Transfer-Encoding: chunked\r\n\r\n")];
            let chunk = format!("100000\r\n{}\r\n", "a".repeat(1 << 20));
            pieces.extend(vec![chunk; FLOOD_MIB]);
            pieces
        }),
        refused("chunk_of_impossible_length", || {
            vec![format!(
                "{LOGIN}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\naaaa"
            )]
        }),
        refused("json_100000_deep_on_login", || {
            let body = "[".repeat(100_000);
            vec![format!("{LOGIN}Content-Length: {}\r\n\r\n{body}", body.len())]
        }),
        Row::new("request_hidden_behind_a_chunked_body", smuggled),
        Row::new("stow_with_broken_multipart_bodies", broken_multipart),
        Row::new("wado_with_senseless_frames_windows_and_viewports", senseless),
        Row::new("writes_from_another_origin", foreign_origin),
        Row::new("tokens_and_cookies_made_up", made_up_credentials),
        Row::new("no_anonymous_route", no_anonymous_route),
    ]
}

/// A request that gets a 4xx or nothing, without being taken whole.
fn refused(name: &str, make: fn() -> Vec<String>) -> Row {
    Row::new(name, move |t| {
        let pieces = make();
        let start = Instant::now();
        let answer = exchange(t.product.http, pieces.into_iter().map(String::into_bytes), WAIT);
        assert!(start.elapsed() < WAIT, "after {:?}", start.elapsed());
        match answer.status() {
            Some(status) => assert!((400..500).contains(&status), "{status}"),
            None => assert!(answer.closed(), "neither answer nor end: {answer:?}"),
        }
        assert!(answer.taken < FLOOD_MIB << 20, "all of it was taken");
        assert_serving(t);
    })
}

/// RFC 9112 6.3: with both lengths the message is refused or the line ends behind it; the rest is never a request.
fn smuggled(target: &Target) {
    let hidden = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let request = format!(
        "{LOGIN}Content-Length: 6\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n{hidden}"
    );
    let answer = exchange(target.product.http, [request.into_bytes()], WAIT);
    let answers = answer.text().matches("HTTP/1.1 ").count();
    assert!(answers <= 1, "{answers} answers");
    assert!(
        answer.status().is_none_or(|s| (400..500).contains(&s)),
        "{answer:?}"
    );
    assert_serving(target);
}

fn broken_multipart(target: &Target) {
    let dicom = "multipart/related; type=\"application/dicom\"; boundary=bnd";
    let long = format!("multipart/related; boundary={}", "b".repeat(5000));
    let bodies: [(&str, Vec<u8>); 7] = [
        (dicom, b"--bnd\r\n".to_vec()),
        (dicom, vec![b'x'; 10_000]),
        ("multipart/related; type=\"application/dicom\"", Vec::new()),
        (&long, vec![b'b'; 5002]),
        (dicom, b"--bnd\r\n".repeat(100_000)),
        (dicom, [&b"--bnd\r\n"[..], &[b'h'; 100_000], b"\r\n\r\n"].concat()),
        ("multipart/form-data; boundary=bnd", b"--bnd--".to_vec()),
    ];
    for (kind, body) in bodies {
        let head = format!(
            "POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nCookie: {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            target.technician.cookie().expect("logged in"),
            body.len()
        );
        let answer = exchange(target.product.http, [head.into_bytes(), body], WAIT);
        assert!(
            answer.status().is_some_and(|s| (400..500).contains(&s)),
            "{kind}: {answer:?}"
        );
    }
}

fn senseless(target: &Target) {
    let object = target.object();
    assert_eq!(target.store(&object.place, &object.bytes()), Answer::Status(0));
    let instance = instance_path(&object.place);
    for path in [
        "/rendered?viewport=999999999,999999999",
        "/rendered?viewport=100000,100000",
        "/rendered?viewport=-1,-1",
        "/rendered?window=1e308,1e-308,linear",
        "/rendered?window=NaN,NaN,linear",
        "/rendered?window=a,b,c",
        "/rendered?quality=0",
        "/frames/0",
        "/frames/1,2,3,4,5,6,7,8,9",
        "/frames/4294967297",
        "/frames/99999999999999999999",
        "/thumbnail?viewport=0,0",
        "/bulkdata/7FE00010/99999999/7FE00010",
    ] {
        let status = target.reader.get(&format!("{instance}{path}")).status;
        assert!(status < 500 || status == 501, "{path}: {status}");
    }
    for path in [
        "/dicomweb/studies/x/series/y/instances/z",
        "/dicomweb/studies/1.2.3/rendered",
    ] {
        let status = target.reader.get(path).status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
}

/// A page of another site that the reader has open cannot write in their name.
fn foreign_origin(target: &Target) {
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        let headers = [(name, value), ("Content-Type", "application/json")];
        let answer = target.technician.request("POST", "/api/orders", &headers, b"{}");
        assert_eq!(answer.status, 403, "{name}: {value}");
    }
}

fn made_up_credentials(target: &Target) {
    let anonymous = target.product.anonymous();
    for (name, value) in [
        ("Authorization", "Bearer "),
        ("Authorization", "Bearer aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("Authorization", "Bearer ' OR '1'='1"),
        ("Authorization", "Basic YWRtaW46YWRtaW4="),
        ("Cookie", "session=' OR '1'='1"),
        ("Cookie", "gongying_session=00000000000000000000000000000000"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Remote-User", "admin.county"),
    ] {
        let answer = anonymous.request("GET", "/api/worklist", &[(name, value)], &[]);
        assert_eq!(answer.status, 401, "{name}: {value}");
    }
}

/// Every path of the interface asks who calls, but for the few that the contract opens.
fn no_anonymous_route(target: &Target) {
    let document = target.reader.get("/api/openapi.json").json();
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 40, "{} paths", paths.len());
    let open = [
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/session",
        // its token, good for once, is in the body
        "/api/edge/enrol",
        "/api/verify/",
        "/api/shares/",
        "/verify/",
        "/share/",
    ];
    let anonymous = target.product.anonymous();
    for (path, operations) in paths {
        if open.iter().any(|o| path.starts_with(o)) {
            continue;
        }
        let concrete = filled(path);
        for method in operations.as_object().into_iter().flat_map(serde_json::Map::keys) {
            let method = method.to_uppercase();
            if !["GET", "POST", "PUT", "DELETE", "PATCH"].contains(&method.as_str()) {
                continue;
            }
            let answer = anonymous.request(&method, &concrete, &[], &[]);
            assert_eq!(answer.status, 401, "{method} {concrete} without a session");
            if let Ok(body) = serde_json::from_slice::<Value>(&answer.body) {
                assert!(body.get("items").is_none(), "{method} {concrete} tells something");
            }
        }
    }
}

/// A path with something in place of each parameter.
fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| if part.contains('{') { "1" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}
