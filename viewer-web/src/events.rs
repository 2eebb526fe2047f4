//! `GET /api/events`: server-sent events about studies that the actor may see.

use crate::App;
use crate::http::client::ClientAddress;
use crate::problem::Problem;
use crate::route::Route;
use crate::session::{Signed, actor_of};
use crate::shape;
use archive::events::Event;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{self, Sse};
use axum::response::{IntoResponse, Response};
use reading::Actor;
use reading::access::{Action, may};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// Open streams of this node.
pub(crate) const STREAMS_MAX: usize = 2000;
/// A comment is sent when nothing else was for this long; the login is checked again at the same time.
const HEARTBEAT_S: u64 = 15;
/// Time after which a browser connects again.
const RETRY_MS: u64 = 3000;
/// Events waiting for one slow reader.
const WAITING_MAX: usize = 64;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/api/events",
            "Server-sent events: study arrived, ready, claimed, report, critical value",
            stream,
        )
        .response_as("text/event-stream", shape::text()),
    ]
}

async fn stream(
    State(app): State<App>,
    Signed(actor): Signed,
    client: ClientAddress,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let permit = Arc::clone(app.event_streams())
        .try_acquire_owned()
        .map_err(|_| Problem::busy(30))?;
    let (send, receive) = mpsc::channel(WAITING_MAX);
    let teller = Teller {
        app,
        actor,
        client,
        headers,
        send,
        _permit: permit,
    };
    tokio::spawn(teller.run());
    let mut response = Sse::new(ReceiverStream::new(receive)).into_response();
    // A proxy that gathers answers before passing them on would hold events back.
    response
        .headers_mut()
        .insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    Ok(response)
}

/// What a page gets: the event's own data, and always the study.
fn told(event: &Event) -> serde_json::Value {
    let mut data = match &event.data {
        serde_json::Value::Object(fields) => fields.clone(),
        other => serde_json::Map::from_iter([("data".to_owned(), other.clone())]),
    };
    data.insert("study_uid".to_owned(), json!(event.study_uid));
    data.into()
}

type Sent = Result<sse::Event, Infallible>;

/// Tells one reader what happens. It ends when the reader is gone, is too slow for a heartbeat, or is logged out.
struct Teller {
    app: App,
    actor: Actor,
    client: ClientAddress,
    headers: HeaderMap,
    send: mpsc::Sender<Sent>,
    _permit: OwnedSemaphorePermit,
}

impl Teller {
    async fn run(self) {
        let mut events = self.app.archive().events().listen();
        let hello = sse::Event::default()
            .retry(Duration::from_millis(RETRY_MS))
            .comment("gongying");
        if self.send.send(Ok(hello)).await.is_err() {
            return;
        }
        let mut heartbeat = tokio::time::interval(Duration::from_secs(HEARTBEAT_S));
        heartbeat.tick().await;
        loop {
            let going_on = tokio::select! {
                () = self.send.closed() => false,
                _ = heartbeat.tick() => self.beat().await,
                event = events.recv() => match event {
                    Ok(event) => self.tell(&event).await,
                    // The reader missed some: it should load its lists again.
                    Err(RecvError::Lagged(missed)) => self.say("resync", &json!({"missed": missed}).to_string()).await,
                    Err(RecvError::Closed) => false,
                },
            };
            if !going_on {
                return;
            }
        }
    }

    async fn beat(&self) -> bool {
        let still_in = actor_of(self.app.reading(), &self.headers, self.client).await;
        matches!(still_in, Ok(Some(actor)) if actor.roles == self.actor.roles)
            && self
                .send
                .try_send(Ok(sse::Event::default().comment("beat")))
                .is_ok()
    }

    async fn tell(&self, event: &Event) -> bool {
        match self.may_know(event).await {
            true => self.say(event.kind.as_str(), &told(event).to_string()).await,
            false => true,
        }
    }

    async fn may_know(&self, event: &Event) -> bool {
        let Some(study_uid) = event.study_uid.as_deref() else {
            return false;
        };
        may(self.app.reading(), &self.actor, Action::ViewImages, study_uid)
            .await
            .unwrap_or(false)
    }

    async fn say(&self, kind: &str, data: &str) -> bool {
        let line = sse::Event::default().event(kind).data(data);
        tokio::time::timeout(Duration::from_secs(HEARTBEAT_S), self.send.send(Ok(line)))
            .await
            .is_ok_and(|sent| sent.is_ok())
    }
}
