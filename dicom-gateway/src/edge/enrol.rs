//! Being let in: the token is shown once, and from then on the secret that this node made.

use super::client::{Ask, Content, LineError, json, read};
use super::{Identity, Shared};
use archive::edge::status::LineState;
use archive::edge::wire::{EnrolAsk, Enrolled, InstitutionWire};
use archive::{ArchiveError, Sha256Digest, UnixMicros};
use hyper::Method;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const SECRET: &str = "edge.secret";
const NODE: &str = "edge.node";
const INSTITUTION: &str = "edge.institution";
/// Digest of the token with which the identity was got: another token in the settings means another enrolment.
const TOKEN: &str = "edge.token";
const SECRET_BYTES: usize = 32;
const TIMEOUT: Duration = Duration::from_secs(20);

/// The identity of an earlier run.
pub(super) async fn recall(shared: &Arc<Shared>) -> Result<(), ArchiveError> {
    let spool = &shared.spool;
    let configured = shared.config.enrolment_token.as_deref().map(digest);
    if configured.is_some() && spool.setting(TOKEN).await? != configured {
        return Ok(());
    }
    let (Some(node), Some(institution), Some(secret)) = (
        spool.setting(NODE).await?,
        spool.setting(INSTITUTION).await?,
        spool.setting(SECRET).await?,
    ) else {
        return Ok(());
    };
    let wire: InstitutionWire = serde_json::from_str(&institution)
        .map_err(|error| ArchiveError::Corrupt(format!("identity of this node: {error}")))?;
    let institution_id = shared.archive.mirror().institution(&wire).await?;
    shared.identity.send_replace(Some(Identity {
        node,
        institution_id,
        institution_name: wire.name_zh,
        secret,
    }));
    Ok(())
}

fn digest(token: &str) -> String {
    Sha256Digest::of(token.trim().as_bytes()).to_hex()
}

/// Tries until the centre lets this node in. Does nothing when it did before.
pub(super) async fn until_let_in(shared: &Arc<Shared>) {
    while shared.identity.borrow().is_none() {
        let Some(token) = &shared.config.enrolment_token else {
            let words =
                "[edge] enrolment_token is missing; make one with `gongying admin edge enrol` at the centre";
            shared.line.shut_out(LineState::NotEnrolled, words);
            return std::future::pending().await;
        };
        let begun = Instant::now();
        match attempt(shared, token.trim()).await {
            Ok(()) => return,
            Err(Failed::Line(error)) if error.is_line() => shared.line.failed(begun, &error.to_string()),
            Err(error) => shared.line.shut_out(LineState::NotEnrolled, &error.to_string()),
        }
        tokio::time::sleep_until(shared.line.retry_at()).await;
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Line(#[from] LineError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

async fn attempt(shared: &Arc<Shared>, token: &str) -> Result<(), Failed> {
    let secret = own_secret(shared, token).await?;
    let asked = UnixMicros::now();
    let ask = Ask {
        method: Method::POST,
        path: "/api/edge/enrol".to_owned(),
        headers: Vec::new(),
        content: content(shared, token, &secret),
        timeout: TIMEOUT,
    };
    let answer = shared
        .target
        .connect()
        .await?
        .ask(&shared.target, None, ask)
        .await?;
    let enrolled: Enrolled = read(&answer)?;
    shared.line.clock(asked, enrolled.now);
    let mirror = shared.archive.mirror();
    let institution_id = mirror.institution(&enrolled.institution).await?;
    mirror.devices(institution_id, &enrolled.devices).await?;
    let spool = &shared.spool;
    let institution = serde_json::to_string(&enrolled.institution).unwrap_or_default();
    spool.set(INSTITUTION, &institution).await?;
    spool.set(NODE, &enrolled.node).await?;
    tracing::info!(
        node = enrolled.node,
        institution = enrolled.institution.code,
        "this node was let in"
    );
    shared.identity.send_replace(Some(Identity {
        node: enrolled.node,
        institution_id,
        institution_name: enrolled.institution.name_zh,
        secret,
    }));
    shared.line.answered();
    Ok(())
}

fn content(shared: &Shared, token: &str, secret: &str) -> Content {
    json(&EnrolAsk {
        token: token.to_owned(),
        secret: secret.to_owned(),
        version: shared.config.version.clone(),
    })
}

/// The secret of this node, kept before it is shown: when the answer is lost, the same secret asks again.
async fn own_secret(shared: &Shared, token: &str) -> Result<String, ArchiveError> {
    let spool = &shared.spool;
    if spool.setting(TOKEN).await? == Some(digest(token))
        && let Some(secret) = spool.setting(SECRET).await?
    {
        return Ok(secret);
    }
    let mut random = [0u8; SECRET_BYTES];
    getrandom::fill(&mut random)
        .map_err(|e| ArchiveError::invalid("random numbers of the system", e.to_string()))?;
    let secret = hex::encode(random);
    spool.set(SECRET, &secret).await?;
    spool.set(TOKEN, &digest(token)).await?;
    Ok(secret)
}
