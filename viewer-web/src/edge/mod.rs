//! The centre's side of the township nodes, under `/api/edge/`: enrolment, objects in chunks, manifests, and what a
//! node keeps of the centre.
//!
//! **Promises:** an object is answered as stored only after the archive has it on stable storage, and only when its
//! bytes have the digest under which the node offered it; asking again at any point changes nothing; what a node may
//! leave unfinished here is bounded.

mod chunks;
mod finish;
mod news;
mod node;
mod partial;
mod ranges;

pub(crate) use partial::Uploads;

use crate::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape::{self, Shape};
use archive::edge::wire::{
    Completeness, EnrolAsk, Enrolled, Heartbeat, HeartbeatAnswer, MANIFEST_BYTES_MAX, MANIFEST_OBJECTS_MAX,
    Manifest,
};
use archive::edge::{EdgeNode, EnrolRefused};
use archive::{InstitutionId, UnixMicros};
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use dataset::StudyInstanceUid;
use reading::Role;
use reading::account::{NewToken, keep_token};

/// Shortest secret of a node, in characters.
const SECRET_CHARS_MIN: usize = 32;
/// Longest token or secret.
const SECRET_CHARS_MAX: usize = 256;

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::post(
            "/api/edge/enrol",
            "A township node shows its enrolment token, once, and gets its place",
            enrol,
        )
        .request(shape::object([
            ("token", shape::text()),
            (
                "secret",
                shape::text().about("made by the node; its bearer token from now on"),
            ),
            ("version", shape::text()),
        ]))
        .response(shape::object([
            ("node", shape::text()),
            ("institution", shape::any()),
            ("devices", shape::list(shape::any())),
            ("now", shape::integer()),
        ]))
        .open(),
        Route::put(
            "/api/edge/studies/{uid}/manifest",
            "A township node says what belongs to a study",
            manifest,
        )
        .request(shape::object([
            ("revision", shape::integer()),
            ("closed", shape::boolean()),
            (
                "objects",
                shape::list(shape::list(shape::text())).about("SOP Instance UID and SHA-256 of the data set"),
            ),
            ("first_received_at", shape::integer()),
            ("last_received_at", shape::integer()),
            ("clock_offset_us", shape::integer()),
        ]))
        .response(shape::object([
            ("wanted", shape::integer()),
            ("missing", shape::integer()),
            ("complete", shape::boolean()),
        ])),
        Route::post(
            "/api/edge/heartbeat",
            "A township node tells how it is",
            heartbeat,
        )
        .request(heartbeat_shape())
        .response(shape::object([("now", shape::integer())])),
    ];
    routes.extend(chunks::routes());
    routes.extend(news::routes());
    routes
}

fn heartbeat_shape() -> Shape {
    shape::object([
        ("version", shape::text()),
        ("now", shape::integer()),
        (
            "waiting",
            shape::list(shape::integer()).about("STAT, ECG, small, bulk"),
        ),
        ("waiting_bytes", shape::integer()),
        ("spool_bytes", shape::integer()),
        ("spool_bytes_max", shape::integer()),
        ("refused", shape::integer()),
    ])
}

fn refused(error: EnrolRefused) -> Problem {
    let words = match &error {
        EnrolRefused::Archive(_) => return Problem::internal(&error),
        EnrolRefused::Unknown => "登记码无效，请在中心重新生成。",
        EnrolRefused::Used => "登记码已被其他节点使用，请在中心重新生成。",
        EnrolRefused::Expired => "登记码已过期，请在中心重新生成。",
    };
    Problem::new(StatusCode::FORBIDDEN, words, error.to_string())
}

async fn enrol(
    State(app): State<App>,
    client: crate::ClientAddress,
    Json(ask): Json<EnrolAsk>,
) -> Result<Json<Enrolled>, Problem> {
    let fits = (SECRET_CHARS_MIN..=SECRET_CHARS_MAX).contains(&ask.secret.len());
    if !fits || ask.token.len() > SECRET_CHARS_MAX {
        return Err(Problem::bad_request(
            "节点密钥长度不符。",
            "The secret of the node has a wrong length.",
        ));
    }
    let centre = app.archive().centre();
    let node = centre
        .enrol(&ask.token, &ask.secret, Some(client.ip.to_string()))
        .await
        .map_err(refused)?;
    if node.revoked_at.is_some() {
        return Err(refused(EnrolRefused::Used));
    }
    let token = NewToken {
        name: node.name.clone(),
        roles: Role::Edge.into(),
        institution_id: node.institution_id,
        expires_at: None,
    };
    keep_token(app.reading(), token, &ask.secret).await?;
    let institution = app.archive().institutions().by_id(node.institution_id).await?;
    tracing::info!(
        node = node.name,
        institution = institution.code,
        "a township node was let in"
    );
    Ok(Json(Enrolled {
        devices: news::devices(&app, institution.id).await?,
        node: node.name,
        institution: node::institution_wire(institution),
        now: UnixMicros::now().0,
    }))
}

async fn heartbeat(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(told): Json<Heartbeat>,
) -> Result<Json<HeartbeatAnswer>, Problem> {
    let node = node::of(&app, &actor).await?;
    let kept = serde_json::to_string(&told).unwrap_or_default();
    let text: String = kept.chars().take(2000).collect();
    app.archive().centre().heard(&node.name, &text).await?;
    let waiting: u64 = told.waiting.iter().copied().fold(0, u64::saturating_add);
    metrics::gauge!("gongying_edge_node_waiting_objects", "node" => node.name).set(waiting as f64);
    Ok(Json(HeartbeatAnswer {
        now: UnixMicros::now().0,
    }))
}

async fn manifest(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(uid): Path<String>,
    body: Body,
) -> Result<Json<Completeness>, Problem> {
    let node = node::of(&app, &actor).await?;
    let wrong = |why: String| {
        Problem::bad_request(
            format!("检查清单有误：{why}"),
            format!("The manifest is not as expected: {why}"),
        )
    };
    let study = StudyInstanceUid::parse(&uid).map_err(|e| wrong(e.to_string()))?;
    let bytes = axum::body::to_bytes(body, MANIFEST_BYTES_MAX)
        .await
        .map_err(|e| wrong(e.to_string()))?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
    if manifest.objects.len() > MANIFEST_OBJECTS_MAX {
        return Err(wrong(format!("more than {MANIFEST_OBJECTS_MAX} objects")));
    }
    may_describe(&app, &node, study.as_str()).await?;
    let centre = app.archive().centre();
    Ok(Json(
        centre.put_manifest(&node.name, study.as_str(), &manifest).await?,
    ))
}

/// A node speaks of studies of its own institution only, or of such as are not here yet.
async fn may_describe(app: &App, node: &EdgeNode, study_uid: &str) -> Result<(), Problem> {
    let owner: Option<InstitutionId> = app
        .archive()
        .studies()
        .by_uid(study_uid)
        .await?
        .map(|study| study.institution_id);
    if owner.is_none_or(|owner| owner == node.institution_id) {
        return Ok(());
    }
    // An order of another institution owns the study; the images may still have been taken here.
    let held = app.archive().studies().by_uid(study_uid).await?;
    match held.is_some_and(|study| study.order_id.is_some()) {
        true => Ok(()),
        false => Err(Problem::forbidden()),
    }
}
