//! Logging in, staying in, logging out.

use crate::support::House;
use axum::http::StatusCode;
use serde_json::json;

#[tokio::test]
async fn a_session_tells_who_is_in_and_ends_when_told() {
    let house = House::open().await;
    let technician = house.technician().await;
    let session = technician.get("/api/session").await.is(StatusCode::OK).json();
    assert_eq!(session["user"], "tech.hexi");
    assert_eq!(session["roles"], json!(["technician"]));
    assert_eq!(session["institution"]["code"], "HEXI");
    assert_eq!(session["institution"]["name"], "河西镇卫生院");
    assert!(
        session["permissions"]
            .as_array()
            .unwrap()
            .contains(&json!("order.create"))
    );
    let bye = technician
        .send("DELETE", "/api/session", &[], Vec::new())
        .await
        .is(StatusCode::NO_CONTENT);
    assert!(bye.header("set-cookie").contains("Max-Age=0"));
    technician
        .get("/api/session")
        .await
        .refuses(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_cookie_is_closed_to_scripts_and_other_sites() {
    let house = House::open().await;
    house.technician().await;
    let login = json!({"user": "tech.hexi", "password": "correct horse 1"});
    let answer = house
        .anonymous()
        .post("/api/session", &login)
        .await
        .is(StatusCode::OK);
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Path=/"),
        "{cookie}"
    );
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_wrong_password_is_refused_with_a_sentence_and_after_many_the_address_waits() {
    let house = House::open().await;
    house.technician().await;
    let wrong = json!({"user": "tech.hexi", "password": "nonsense"});
    house
        .anonymous()
        .post("/api/session", &wrong)
        .await
        .refuses(StatusCode::UNAUTHORIZED);
    let nobody = json!({"user": "nobody", "password": "nonsense"});
    house
        .anonymous()
        .post("/api/session", &nobody)
        .await
        .refuses(StatusCode::UNAUTHORIZED);
    for body in [
        json!({"user": "x"}),
        json!([]),
        json!({"user": 5, "password": []}),
    ] {
        house
            .anonymous()
            .post("/api/session", &body)
            .await
            .refuses(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_page_for_people_sends_strangers_to_the_login_page() {
    let house = House::open().await;
    let answer = house
        .anonymous()
        .get_as("/worklist", "text/html")
        .await
        .is(StatusCode::SEE_OTHER);
    assert_eq!(answer.header("location"), "/login?next=/worklist");
}
