//! Server-sent events: told to those who may see the study, and to nobody else.

use crate::support::objects::study;
use crate::support::{House, Visitor};
use archive::events::{Event, EventKind};
use axum::body::BodyDataStream;
use futures_util::StreamExt;
use serde_json::json;
use std::time::Duration;

struct Listener(BodyDataStream);

impl Listener {
    async fn of(visitor: &Visitor) -> Self {
        let response = visitor.open("/api/events").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut listener = Self(response.into_body().into_data_stream());
        assert!(listener.next_text(5000).await.contains("retry:"));
        listener
    }

    async fn next_text(&mut self, wait_ms: u64) -> String {
        match tokio::time::timeout(Duration::from_millis(wait_ms), self.0.next()).await {
            Ok(Some(Ok(bytes))) => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => String::new(),
        }
    }
}

#[tokio::test]
async fn an_event_reaches_those_who_may_see_the_study_and_nobody_else() {
    let (house, objects) = (House::open().await, study("1.2.94.1"));
    house.technician().await.may_store(&objects).await;
    let mut radiologist = Listener::of(&house.radiologist().await.0).await;
    let mut clinician = Listener::of(&house.clinician_elsewhere().await.0).await;
    let mut auditor = Listener::of(&house.auditor().await.0).await;
    let uid = objects[0].study_uid.clone();
    let event = Event::new(EventKind::Claimed, Some(uid.clone()), Vec::new()).data(json!({"study_uid": uid}));
    house.reading.archive().events().publish(event);
    let mut heard = String::new();
    while !heard.contains("event: claimed") {
        let text = radiologist.next_text(5000).await;
        assert!(!text.is_empty(), "heard only {heard:?}");
        heard.push_str(&text);
    }
    assert!(heard.contains(&uid));
    assert_eq!(clinician.next_text(300).await, "");
    assert_eq!(auditor.next_text(300).await, "");
}
