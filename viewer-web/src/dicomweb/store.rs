//! STOW-RS: `POST /dicomweb/studies[/{study}]` (PS3.18 section 10.5).
//!
//! Objects are stored while they arrive: no object is held whole in memory. Each is acknowledged only after the
//! archive has it on stable storage.

use super::json::Attributes;
use super::metadata::JSON_FORMS;
use super::uids;
use crate::App;
use crate::extract::Path;
use crate::http::accept::{MediaRange, choose};
use crate::http::parts::{PartReader, Piece, UploadError};
use crate::http::upload;
use crate::problem::Problem;
use crate::session::Signed;
use archive::receive::{RefusedKind, Sender, Source, StoreRefused, Stored};
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dataset::tags;
use dataset::uid::StudyInstanceUid;
use futures_util::StreamExt;
use reading::Actor;
use reading::access::{Action, guard_query};
use std::time::Duration;

/// Longest pause between two pieces of a body.
const SILENCE_S_MAX: u64 = 60;
/// Most objects of one request.
const OBJECTS_MAX: usize = 20_000;
/// Start of a file in which its meta information is looked for when it is refused.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Largest body.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// `0110H` processing failure, for parts that are no DICOM file (PS3.18 table I.2-2).
const CANNOT_UNDERSTAND: i64 = 0xC000;
const WANTED: &str = "multipart/related; type=\"application/dicom\"; boundary=…";

pub(crate) async fn store(
    State(app): State<App>,
    Signed(actor): Signed,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    receive(app, actor, None, headers, body).await
}

pub(crate) async fn store_into(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(study): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let study = uids::study(&study)?;
    receive(app, actor, Some(study), headers, body).await
}

async fn receive(
    app: App,
    actor: Actor,
    study: Option<StudyInstanceUid>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let named = study.as_ref().map(StudyInstanceUid::as_str);
    guard_query(app.reading(), &actor, Action::StoreImages, named).await?;
    let form =
        choose(&headers, &JSON_FORMS).ok_or_else(|| Problem::not_acceptable("application/dicom+json"))?;
    let reader = PartReader::new(&boundary(&headers)?)?;
    let peer = actor.source_ip.as_deref().and_then(|ip| ip.parse().ok());
    let sender = Sender::account(
        &actor.user,
        &actor.roles.to_words(),
        actor.institution_id(),
        peer,
        Source::Stow,
    );
    let mut upload = Upload {
        app,
        sender,
        study,
        body: body.into_data_stream(),
        reader,
        taken: 0,
        ended: false,
    };
    let mut report = Report::default();
    upload.all(&mut report).await?;
    Ok(report.answer(form))
}

/// The boundary of a request that carries DICOM files.
fn boundary(headers: &HeaderMap) -> Result<String, Problem> {
    upload::boundary(headers, WANTED, |kind| {
        let inner = kind.parameter("type");
        let of_dicom = inner.is_none_or(|inner| inner.eq_ignore_ascii_case("application/dicom"));
        kind.is("multipart", "related") && of_dicom
    })
}

/// A body being read.
struct Upload {
    app: App,
    sender: Sender,
    study: Option<StudyInstanceUid>,
    body: BodyDataStream,
    reader: PartReader,
    taken: u64,
    ended: bool,
}

impl Upload {
    /// Reads all parts and stores each.
    async fn all(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut objects = 0usize;
        while let Some(piece) = self.piece().await? {
            let Piece::Begin(head) = piece else {
                continue;
            };
            objects += 1;
            if objects > OBJECTS_MAX {
                return Err(Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "一次上传的对象过多，请分次上传。",
                    "Too many objects in one request; send them in several.",
                ));
            }
            if is_dicom(&head.content_type) {
                self.one(report).await?;
            } else {
                self.skip().await?;
                report.unreadable();
            }
        }
        if objects == 0 {
            return Err(Problem::bad_request(
                "上传中没有对象。",
                "The request carries no object.",
            ));
        }
        Ok(())
    }

    /// Streams one part into the archive. A refusal is reported; the rest of the part is read past.
    async fn one(&mut self, report: &mut Report) -> Result<(), Problem> {
        let begun = self
            .app
            .archive()
            .begin_part10(self.sender.clone(), self.study.clone())
            .await;
        let (mut incoming, mut refused) = match begun {
            Ok(incoming) => (Some(incoming), None),
            Err(refusal) => (None, Some(refusal)),
        };
        let mut start = Vec::new();
        while let Some(piece) = self.piece().await? {
            match piece {
                Piece::Content(bytes) => {
                    let room = HEADER_BYTES_MAX.saturating_sub(start.len()).min(bytes.len());
                    start.extend_from_slice(bytes.get(..room).unwrap_or_default());
                    if let Some(open) = incoming.as_mut()
                        && let Err(refusal) = open.write(bytes).await
                    {
                        (incoming, refused) = (None, Some(refusal));
                    }
                }
                Piece::End => break,
                Piece::Begin(_) => {}
            }
        }
        let outcome = match (incoming, refused) {
            (Some(incoming), _) => incoming.finish().await,
            (None, Some(refusal)) => Err(refusal),
            (None, None) => return Ok(()),
        };
        match outcome {
            Ok(stored) => report.stored(&stored),
            Err(refusal) => report.refused(&refusal, &start),
        }
        Ok(())
    }

    async fn skip(&mut self) -> Result<(), Problem> {
        while let Some(piece) = self.piece().await? {
            if piece == Piece::End {
                break;
            }
        }
        Ok(())
    }

    /// The next piece; none at the end of the body.
    async fn piece(&mut self) -> Result<Option<Piece>, Problem> {
        loop {
            if let Some(piece) = self.reader.next_piece() {
                return Ok(Some(piece));
            }
            if self.ended {
                return Ok(None);
            }
            match self.chunk().await? {
                Some(bytes) => self.reader.feed(&bytes)?,
                None => {
                    self.ended = true;
                    self.reader.finish()?;
                }
            }
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        let next = tokio::time::timeout(Duration::from_secs(SILENCE_S_MAX), self.body.next()).await;
        match next {
            Err(_) => Err(upload::silent()),
            Ok(None) => Ok(None),
            Ok(Some(Err(_))) => Err(UploadError::Cut.into()),
            Ok(Some(Ok(bytes))) => {
                self.taken = self.taken.saturating_add(bytes.len() as u64);
                if self.taken > BODY_BYTES_MAX {
                    return Err(Problem::new(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        "上传内容过大。",
                        "The upload is too large.",
                    ));
                }
                Ok(Some(bytes))
            }
        }
    }
}

fn is_dicom(content_type: &str) -> bool {
    content_type.is_empty()
        || MediaRange::parse(content_type).is_some_and(|kind| kind.is("application", "dicom"))
}

/// What became of each object (PS3.18 section 10.5.3 and annex I).
#[derive(Debug, Default)]
struct Report {
    referenced: Vec<Attributes>,
    failed: Vec<Attributes>,
    unreadable: usize,
    study_url: Option<String>,
    is_full: bool,
}

impl Report {
    fn stored(&mut self, stored: &Stored) {
        let study_url = format!("/dicomweb/studies/{}", stored.study_uid);
        let mut item = Attributes::default();
        item.text(
            tags::REFERENCED_SOP_CLASS_UID,
            Some(stored.sop_class_uid.as_str()),
        );
        item.text(
            tags::REFERENCED_SOP_INSTANCE_UID,
            Some(stored.sop_instance_uid.as_str()),
        );
        let url = format!(
            "{study_url}/series/{}/instances/{}",
            stored.series_uid, stored.sop_instance_uid
        );
        item.text(tags::RETRIEVE_URL, Some(&url));
        self.referenced.push(item);
        self.study_url.get_or_insert(study_url);
    }

    /// `start` is the first part of the file: its meta information names the object.
    fn refused(&mut self, refusal: &StoreRefused, start: &[u8]) {
        self.is_full |= refusal.kind == RefusedKind::OutOfSpace;
        let header = dataset::file::read_header(start).ok();
        let named = header.and_then(|header| Some((header.sop_class().ok()?, header.sop_instance().ok()?)));
        let Some((class, instance)) = named else {
            return self.unreadable();
        };
        let mut item = Attributes::default();
        item.text(tags::REFERENCED_SOP_CLASS_UID, Some(class.as_str()));
        item.text(tags::REFERENCED_SOP_INSTANCE_UID, Some(instance.as_str()));
        item.number(tags::FAILURE_REASON, Some(i64::from(refusal.status)));
        self.failed.push(item);
    }

    fn unreadable(&mut self) {
        self.unreadable += 1;
    }

    fn status(&self) -> StatusCode {
        let failures = self.failed.len() + self.unreadable;
        match (self.referenced.is_empty(), failures) {
            (false, 0) => StatusCode::OK,
            (false, _) => StatusCode::ACCEPTED,
            (true, _) if self.is_full => StatusCode::INSUFFICIENT_STORAGE,
            (true, _) => StatusCode::CONFLICT,
        }
    }

    fn answer(self, form: (&str, &str)) -> Response {
        let status = self.status();
        let mut body = Attributes::default();
        body.text(tags::RETRIEVE_URL, self.study_url.as_deref());
        if !self.referenced.is_empty() {
            body.sequence(tags::REFERENCED_SOP_SEQUENCE, self.referenced);
        }
        if !self.failed.is_empty() {
            body.sequence(tags::FAILED_SOP_SEQUENCE, self.failed);
        }
        if self.unreadable > 0 {
            let items = (0..self.unreadable).map(|_| {
                let mut item = Attributes::default();
                item.number(tags::FAILURE_REASON, Some(CANNOT_UNDERSTAND));
                item
            });
            body.sequence(tags::OTHER_FAILURES_SEQUENCE, items.collect());
        }
        let mut response = (status, body.into_value().to_string()).into_response();
        if let Ok(kind) = HeaderValue::from_str(&format!("{}/{}", form.0, form.1)) {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_of_uploads() {
        let check = |content_type: &str, expect: Result<&str, u16>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
            let got = boundary(&headers).map_err(|problem| problem.status.as_u16());
            assert_eq!(got, expect.map(str::to_owned), "{content_type}");
        };
        check(
            "multipart/related; type=\"application/dicom\"; boundary=x",
            Ok("x"),
        );
        check(
            "Multipart/Related; boundary=\"a b\"; Type=application/dicom",
            Ok("a b"),
        );
        check("multipart/related; boundary=x", Ok("x"));
        check("multipart/related; type=\"application/dicom\"", Err(400));
        check(
            "multipart/related; type=\"application/dicom+json\"; boundary=x",
            Err(415),
        );
        check("application/json", Err(415));
        check("nonsense", Err(415));
    }

    #[test]
    fn the_status_says_whether_all_some_or_none_are_stored() {
        let report = |referenced: usize, failed: usize, unreadable: usize| Report {
            referenced: vec![Attributes::default(); referenced],
            failed: vec![Attributes::default(); failed],
            unreadable,
            ..Report::default()
        };
        assert_eq!(report(2, 0, 0).status(), StatusCode::OK);
        assert_eq!(report(1, 1, 0).status(), StatusCode::ACCEPTED);
        assert_eq!(report(1, 0, 1).status(), StatusCode::ACCEPTED);
        assert_eq!(report(0, 1, 0).status(), StatusCode::CONFLICT);
        assert_eq!(report(0, 0, 1).status(), StatusCode::CONFLICT);
    }
}
