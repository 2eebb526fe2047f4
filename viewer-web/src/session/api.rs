//! `/api/session`: log in, who am I, log out.

use super::{Signed, cookie};
use crate::App;
use crate::extract::Json;
use crate::http::client::ClientAddress;
use crate::problem::Problem;
use crate::route::Route;
use crate::shape::{self, Shape};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reading::account::{log_in, log_out};
use reading::{Actor, ReadingError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Instant;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/session", "Who is logged in and what they may do", who).response(session_shape()),
        Route::post(
            "/api/session",
            "Logs in with account and password; sets the session cookie",
            begin,
        )
        .open()
        .request(shape::object([
            ("user", shape::text()),
            ("password", shape::text()),
        ]))
        .response(session_shape()),
        Route::delete("/api/session", "Logs out", end).status(StatusCode::NO_CONTENT),
    ]
}

fn session_shape() -> Shape {
    shape::object([
        ("user", shape::text()),
        ("display_name", shape::text()),
        ("roles", shape::list(shape::text())),
        (
            "institution",
            shape::object([
                ("id", shape::integer()),
                ("code", shape::text()),
                ("name", shape::text()),
                ("name_en", shape::text()),
                ("kind", shape::text()),
            ]),
        ),
        ("permissions", shape::list(shape::text())),
        ("expires_at", shape::time()),
        ("double_signature", shape::boolean()),
    ])
}

fn body(app: &App, actor: &Actor) -> Value {
    let institution = &actor.institution;
    json!({
        "user": actor.user,
        "display_name": actor.display_name,
        "roles": actor.roles,
        "institution": {
            "id": institution.id,
            "code": institution.code,
            "name": institution.name_zh,
            "name_en": institution.name_en,
            "kind": institution.kind,
        },
        "permissions": actor.permissions(),
        "expires_at": archive::UnixMicros(actor.expires_at).to_iso8601(),
        "double_signature": app.reading().settings().double_signature,
    })
}

async fn who(State(app): State<App>, Signed(actor): Signed) -> Json<Value> {
    Json(body(&app, &actor))
}

/// What the login page sends.
#[derive(Deserialize)]
struct Credentials {
    user: String,
    password: String,
}

async fn begin(
    State(app): State<App>,
    client: ClientAddress,
    Json(credentials): Json<Credentials>,
) -> Result<Response, Problem> {
    if let Some(wait_s) = app.tries().wait_s(client.ip, Instant::now()) {
        return Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "登录失败次数过多，稍后再试。",
            "Too many failed logins from this address. Try again later.",
        )
        .retry_after(wait_s));
    }
    let ip = Some(client.ip.to_string());
    match log_in(app.reading(), &credentials.user, &credentials.password, ip).await {
        Ok(login) => {
            app.tries().succeeded(client.ip);
            let cookie = cookie::begin(&login.token, app.settings().is_secure())
                .ok_or_else(|| Problem::internal(&"the session token does not fit into a cookie"))?;
            Ok(with_cookie(
                Json(body(&app, &login.actor)).into_response(),
                cookie,
            ))
        }
        Err(error) => {
            if matches!(error, ReadingError::Unauthenticated(_)) {
                app.tries().failed(client.ip, Instant::now());
            }
            Err(error.into())
        }
    }
}

async fn end(State(app): State<App>, _: Signed, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(token) = cookie::session_token(&headers) {
        log_out(app.reading(), token).await?;
    }
    let response = StatusCode::NO_CONTENT.into_response();
    Ok(match cookie::end(app.settings().is_secure()) {
        Some(cookie) => with_cookie(response, cookie),
        None => response,
    })
}

fn with_cookie(mut response: Response, cookie: HeaderValue) -> Response {
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
