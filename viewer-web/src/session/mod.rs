//! Who is asking: session cookie or bearer token.
//!
//! **Default deny:** [`authenticate`] lets a request without a valid login through only where the matched
//! [`crate::route::Route`] is declared open. Unmatched paths reach the pages, which decide by themselves.

mod api;
pub(crate) mod cookie;
pub(crate) mod tries;

pub(crate) use api::routes;

use crate::App;
use crate::http::client::ClientAddress;
use crate::problem::Problem;
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, OptionalFromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use reading::account::{resume, resume_token};
use reading::{Actor, Reading};
use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;

/// Name of the session cookie.
pub const COOKIE: &str = "gongying_session";

/// Somebody who is logged in; as an extractor it answers 401 to everybody else.
#[derive(Clone, Debug)]
pub struct Signed(pub Actor);

impl<S: Send + Sync> FromRequestParts<S> for Signed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(Problem::not_signed_in)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Signed {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// The operations that need no login, as `(method, path template)`.
pub(crate) type OpenRoutes = HashSet<(Method, &'static str)>;

/// Middleware: finds the actor of a request and refuses those without one.
pub(crate) async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0);
    let client = ClientAddress::of(peer, request.headers(), app.settings().behind_proxy);
    let actor = match actor_of(app.reading(), request.headers(), client).await {
        Ok(actor) => actor,
        Err(problem) => return problem.into_response(),
    };
    let matched = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    match (actor, matched) {
        (Some(actor), _) => {
            request.extensions_mut().insert(Signed(actor));
        }
        (None, Some(path)) if !is_open(app.open_routes(), request.method(), &path) => {
            return Problem::not_signed_in().into_response();
        }
        (None, _) => {}
    }
    next.run(request).await
}

fn is_open(open: &OpenRoutes, method: &Method, path: &str) -> bool {
    let method = if *method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    open.iter().any(|(m, p)| m == method && *p == path)
}

/// The account or token behind a request's credentials; an unknown or ended one is nobody.
pub(crate) async fn actor_of(
    reading: &Reading,
    headers: &HeaderMap,
    client: ClientAddress,
) -> Result<Option<Actor>, Problem> {
    let ip = Some(client.ip.to_string());
    if let Some(token) = cookie::bearer_token(headers) {
        return Ok(resume_token(reading, token, ip).await?);
    }
    match cookie::session_token(headers) {
        Some(token) => Ok(resume(reading, token, ip).await?),
        None => Ok(None),
    }
}
