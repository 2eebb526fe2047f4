//! The outside surface as a whole: every operation is described, nothing answers without a login, no page for data.

use crate::support::House;
use axum::http::StatusCode;
use std::collections::BTreeSet;

#[tokio::test]
async fn the_document_and_the_router_have_the_same_operations() {
    let house = House::open().await;
    let document = house
        .technician()
        .await
        .get("/api/openapi.json")
        .await
        .is(StatusCode::OK)
        .json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let routed: BTreeSet<String> = viewer_web::routes()
        .iter()
        .map(|route| {
            let (path, method) = route.key();
            format!("{} {}", method.openapi().to_uppercase(), path.replace("{*", "{"))
        })
        .collect();
    assert_eq!(described, routed);
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{}",
                operation["operationId"]
            );
        }
    }
}

/// Default deny: each operation that is not declared open refuses a stranger before anything else is looked at.
#[tokio::test]
async fn no_operation_answers_a_stranger_unless_it_is_declared_open() {
    let house = House::open().await;
    let anonymous = house.anonymous();
    let mut open = BTreeSet::new();
    for route in viewer_web::routes() {
        let (path, method) = route.key();
        let concrete: String = path
            .split('/')
            .map(|part| if part.starts_with('{') { "1" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        if route.is_open() {
            open.insert(path);
            continue;
        }
        let method = method.openapi().to_uppercase();
        let answer = anonymous
            .send(
                &method,
                &concrete,
                &[("content-type", "application/json")],
                b"{}".to_vec(),
            )
            .await;
        answer.refuses(StatusCode::UNAUTHORIZED);
    }
    for path in open {
        let allowed = [
            "/healthz",
            "/readyz",
            "/metrics",
            "/api/session",
            "/api/edge/enrol",
        ];
        let by_secret = ["/api/verify/", "/api/shares/", "/share/"]
            .iter()
            .any(|open| path.starts_with(open));
        assert!(allowed.contains(&path) || by_secret, "{path} is open");
    }
}

#[tokio::test]
async fn unknown_paths_are_problem_json_and_never_a_page() {
    let house = House::open().await;
    let technician = house.technician().await;
    for path in [
        "/api/nope",
        "/api/%3Cscript%3Ealert(1)%3C/script%3E",
        "/dicomweb/nonsense",
        "/fhir/Nope",
        "/assets/nope.js",
        "/nope",
    ] {
        technician
            .get_as(path, "text/html")
            .await
            .refuses(StatusCode::NOT_FOUND);
        technician
            .get_as(path, "*/*")
            .await
            .refuses(StatusCode::NOT_FOUND);
    }
    for path in ["/api/nope", "/dicomweb/nonsense", "/fhir/Nope"] {
        house
            .anonymous()
            .get_as(path, "text/html")
            .await
            .refuses(StatusCode::UNAUTHORIZED);
    }
    technician
        .send("PUT", "/api/session", &[], Vec::new())
        .await
        .refuses(StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn every_answer_carries_the_safety_headers() {
    let house = House::open().await;
    for path in ["/healthz", "/login", "/api/session", "/nope"] {
        let answer = house.anonymous().get_as(path, "text/html").await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'self'"),
            "{path}: {policy}"
        );
        assert!(!answer.header("cache-control").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn operators_read_health_and_metrics_with_the_token_only() {
    let house = House::open().await;
    let anonymous = house.anonymous();
    assert_eq!(
        anonymous.get("/healthz").await.is(StatusCode::OK).json()["status"],
        "ok"
    );
    assert_eq!(
        anonymous.get("/readyz").await.is(StatusCode::OK).json()["status"],
        "ready"
    );
    anonymous.get("/metrics").await.refuses(StatusCode::UNAUTHORIZED);
    anonymous
        .bearing("wrong")
        .get("/metrics")
        .await
        .refuses(StatusCode::UNAUTHORIZED);
    anonymous
        .bearing("m-token")
        .get("/metrics")
        .await
        .is(StatusCode::OK);
}

#[tokio::test]
async fn what_is_too_long_encoded_or_from_elsewhere_is_refused() {
    let house = House::open().await;
    let technician = house.technician().await;
    technician
        .get(&format!("/api/session?x={}", "a".repeat(9000)))
        .await
        .refuses(StatusCode::URI_TOO_LONG);
    let json = ("content-type", "application/json");
    let gzip = [json, ("content-encoding", "gzip")];
    technician
        .send("POST", "/api/session", &gzip, b"x".to_vec())
        .await
        .refuses(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let foreign = [json, ("origin", "https://evil.test")];
    technician
        .send("DELETE", "/api/session", &foreign, Vec::new())
        .await
        .refuses(StatusCode::FORBIDDEN);
    technician
        .send("POST", "/api/session", &[json], vec![b' '; 3 << 20])
        .await
        .refuses(StatusCode::PAYLOAD_TOO_LARGE);
    let deep = "[".repeat(100_000).into_bytes();
    technician
        .send("POST", "/api/session", &[json], deep)
        .await
        .refuses(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn errors_speak_the_readers_language() {
    let house = House::open().await;
    let zh = house.anonymous().get("/api/session").await.json();
    assert_eq!(zh["title"], "需要登录");
    let en = house
        .anonymous()
        .get_with("/api/session", &[("accept-language", "en-GB")])
        .await
        .json();
    assert_eq!(en["title"], "Unauthorized");
}
