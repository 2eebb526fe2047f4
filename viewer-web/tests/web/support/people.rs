//! The people of the county, each a type, so that a test reads as a sentence.

use super::Answer;
use super::objects::Object;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::ops::Deref;
use tower::ServiceExt;

/// Somebody with a browser or a program.
#[derive(Clone)]
pub struct Visitor {
    router: Router,
    credentials: Vec<(&'static str, String)>,
}

impl Visitor {
    pub fn new(router: Router) -> Self {
        Self {
            router,
            credentials: Vec::new(),
        }
    }

    pub fn bearing(&self, token: &str) -> Self {
        let credentials = vec![("authorization", format!("Bearer {token}"))];
        Self {
            router: self.router.clone(),
            credentials,
        }
    }

    pub async fn logged_in(mut self, user: &str, password: &str) -> Self {
        let answer = self
            .post("/api/session", &json!({"user": user, "password": password}))
            .await
            .is(StatusCode::OK);
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        self.credentials = vec![("cookie", cookie)];
        self
    }

    /// Any request, answered as a whole.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        Answer::of(self.answer(method, path, headers, body).await).await
    }

    /// A stream that goes on.
    pub async fn open(&self, path: &str) -> Response {
        self.answer("GET", path, &[], Vec::new()).await
    }

    async fn answer(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "county.test");
        for (name, value) in &self.credentials {
            request = request.header(*name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body)).unwrap();
        let peer: SocketAddr = "10.1.2.3:4567".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.get_as(path, "*/*").await
    }

    pub async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send("GET", path, &[("accept", accept)], Vec::new()).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, Vec::new()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string().into_bytes();
        self.send("POST", path, &[("content-type", "application/json")], body)
            .await
    }

    /// STOW-RS of some files.
    pub async fn stow(&self, path: &str, files: &[&[u8]]) -> Answer {
        let mut body = Vec::new();
        for file in files {
            body.extend_from_slice(b"--gongying-test-boundary\r\nContent-Type: application/dicom\r\n\r\n");
            body.extend_from_slice(file);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--gongying-test-boundary--\r\n");
        let kind = "multipart/related; type=\"application/dicom\"; boundary=gongying-test-boundary";
        self.send(
            "POST",
            path,
            &[("content-type", kind), ("accept", "application/dicom+json")],
            body,
        )
        .await
    }

    /// Sends the form of an upload of ECG recordings.
    pub async fn upload(&self, fields: &[(&str, &str)], files: &[(&str, &[u8])]) -> Answer {
        let mut body = Vec::new();
        for (name, value) in fields {
            let head = format!("--bnd\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(head.as_bytes());
        }
        for (name, bytes) in files {
            let head = format!(
                "--bnd\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--bnd--\r\n");
        let kind = [("content-type", "multipart/form-data; boundary=bnd")];
        self.send("POST", "/api/ecg/recordings", &kind, body).await
    }

    pub async fn may_store(&self, objects: &[Object]) {
        let files: Vec<&[u8]> = objects.iter().map(|object| object.bytes.as_slice()).collect();
        self.stow("/dicomweb/studies", &files).await.is(StatusCode::OK);
    }

    pub async fn may_not_store(&self, object: &Object) {
        self.stow("/dicomweb/studies", &[&object.bytes])
            .await
            .refuses(StatusCode::FORBIDDEN);
    }

    /// Every retrieval of the object answers.
    pub async fn may_see(&self, object: &Object) {
        for path in object.paths() {
            self.get(&path).await.is(StatusCode::OK);
        }
        assert_eq!(self.finds(object).await, 1);
    }

    /// No retrieval of the object answers, and to a stranger it is not even there.
    pub async fn may_not_see(&self, object: &Object) {
        for path in object.paths() {
            let answer = self.get(&path).await;
            assert!(
                matches!(answer.status, 403 | 404),
                "{path}: {} {}",
                answer.status,
                answer.text()
            );
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
    }

    /// How many studies a search for the object's study gives.
    pub async fn finds(&self, object: &Object) -> usize {
        let path = format!("/dicomweb/studies?StudyInstanceUID={}", object.study_uid);
        self.get(&path)
            .await
            .is(StatusCode::OK)
            .json()
            .as_array()
            .unwrap()
            .len()
    }

    pub async fn finds_nothing_of(&self, object: &Object) {
        assert_eq!(self.finds(object).await, 0);
        for level in ["series", "instances"] {
            let path = format!("/dicomweb/{level}?StudyInstanceUID={}", object.study_uid);
            assert_eq!(
                self.get(&path).await.is(StatusCode::OK).json(),
                json!([]),
                "{level}"
            );
            // Named in the path, the study is refused like everything else below it.
            let path = format!("/dicomweb/studies/{}/{level}", object.study_uid);
            self.get(&path).await.refuses(StatusCode::NOT_FOUND);
        }
    }
}

macro_rules! people {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(pub Visitor);

        impl Deref for $name {
            type Target = Visitor;

            fn deref(&self) -> &Visitor {
                &self.0
            }
        }
    )+};
}

people! {
    /// Nobody in particular.
    Anonymous,
    /// Takes the exams at a township hospital.
    Technician,
    /// Writes reports at the county hospital.
    Radiologist,
    /// Reads ECGs at the county hospital.
    EcgPhysician,
    /// Treats patients.
    Clinician,
    /// Runs the community and reads no report.
    CountyAdmin,
    /// Reads the audit trail and nothing else.
    Auditor,
    /// A machine of an institution.
    DeviceToken,
    /// A township node.
    TownshipNode,
}
