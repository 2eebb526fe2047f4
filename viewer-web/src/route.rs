//! One list of routes from which the router and `openapi.json` are both built.

use crate::App;
use crate::problem::Problem;
use crate::session::OpenRoutes;
use crate::shape::Shape;
use axum::Router;
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The methods that routes use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Reads, changes nothing (HEAD is answered by the same handler).
    Get,
    /// Makes or acts.
    Post,
    /// Replaces.
    Put,
    /// Ends or removes.
    Delete,
}

impl Method {
    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    /// The name as OpenAPI writes it.
    pub fn openapi(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }
}

/// A query or header parameter.
#[derive(Clone, Debug)]
struct Parameter {
    name: &'static str,
    place: &'static str,
    shape: Shape,
    about: &'static str,
}

/// A body of some media type.
#[derive(Clone, Debug)]
struct Content {
    media_type: &'static str,
    shape: Shape,
}

/// One operation: what it is called, what goes in and out, and the code that answers.
pub struct Route {
    method: Method,
    path: &'static str,
    summary: &'static str,
    parameters: Vec<Parameter>,
    request: Vec<Content>,
    responses: Vec<Content>,
    status: StatusCode,
    open: bool,
    handler: MethodRouter<App>,
}

impl Route {
    /// Its path, with parameters in braces.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// An operation of any method. `path` is written as `/api/studies/{uid}/claim`.
    pub fn new<H, T>(method: Method, path: &'static str, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        Self {
            method,
            path,
            summary,
            parameters: Vec::new(),
            request: Vec::new(),
            responses: Vec::new(),
            status: StatusCode::OK,
            open: false,
            handler: on(method.filter(), handler),
        }
    }

    /// A reading operation.
    pub fn get<H: Handler<T, App>, T: 'static>(
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        Self::new(Method::Get, path, summary, handler)
    }

    /// A making or acting operation.
    pub fn post<H: Handler<T, App>, T: 'static>(
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        Self::new(Method::Post, path, summary, handler)
    }

    /// A replacing operation.
    pub fn put<H: Handler<T, App>, T: 'static>(
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        Self::new(Method::Put, path, summary, handler)
    }

    /// A removing operation.
    pub fn delete<H: Handler<T, App>, T: 'static>(
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        Self::new(Method::Delete, path, summary, handler)
    }

    /// Declares a query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, shape: Shape, about: &'static str) -> Self {
        self.parameters.push(Parameter {
            name,
            place: "query",
            shape,
            about,
        });
        self
    }

    /// Declares a request header that matters, for example `If-Match`.
    #[must_use]
    pub fn header(mut self, name: &'static str, about: &'static str) -> Self {
        self.parameters.push(Parameter {
            name,
            place: "header",
            shape: crate::shape::text(),
            about,
        });
        self
    }

    /// Declares the JSON request body.
    #[must_use]
    pub fn request(self, shape: Shape) -> Self {
        self.request_as("application/json", shape)
    }

    /// Declares a request body of another media type.
    #[must_use]
    pub fn request_as(mut self, media_type: &'static str, shape: Shape) -> Self {
        self.request.push(Content { media_type, shape });
        self
    }

    /// Declares the JSON answer.
    #[must_use]
    pub fn response(self, shape: Shape) -> Self {
        self.response_as("application/json", shape)
    }

    /// Declares an answer of another media type; may be called once per form offered.
    #[must_use]
    pub fn response_as(mut self, media_type: &'static str, shape: Shape) -> Self {
        self.responses.push(Content { media_type, shape });
        self
    }

    /// Success is this status instead of 200.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Needs no login. The session layer asks this list, so nothing else opens a path.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Path and method, as the router and the document know it.
    pub fn key(&self) -> (&'static str, Method) {
        (self.path, self.method)
    }

    /// Whether no login is needed.
    pub fn is_open(&self) -> bool {
        self.open
    }

    fn http_method(&self) -> axum::http::Method {
        match self.method {
            Method::Get => axum::http::Method::GET,
            Method::Post => axum::http::Method::POST,
            Method::Put => axum::http::Method::PUT,
            Method::Delete => axum::http::Method::DELETE,
        }
    }

    /// The OpenAPI operation object.
    pub fn operation(&self) -> Value {
        let mut parameters: Vec<Value> = path_parameters(self.path)
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .collect();
        for p in &self.parameters {
            parameters.push(json!({
                "name": p.name, "in": p.place, "required": false,
                "description": p.about, "schema": p.shape.to_value(),
            }));
        }
        let mut success = json!({"description": self.status.canonical_reason().unwrap_or("OK")});
        if !self.responses.is_empty() {
            success["content"] = contents(&self.responses);
        }
        let mut operation = json!({
            "operationId": operation_id(self.method, self.path),
            "summary": self.summary,
            "tags": [tag_of(self.path)],
            "parameters": parameters,
            "responses": {
                self.status.as_str(): success,
                "default": {"$ref": "#/components/responses/Problem"},
            },
        });
        if !self.request.is_empty() {
            operation["requestBody"] = json!({"required": true, "content": contents(&self.request)});
        }
        if self.open {
            operation["security"] = json!([]);
        }
        operation
    }
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.method, self.path)
    }
}

fn contents(contents: &[Content]) -> Value {
    contents
        .iter()
        .map(|c| (c.media_type.to_owned(), json!({"schema": c.shape.to_value()})))
        .collect()
}

/// The operations that need no login.
pub(crate) fn open_routes(routes: &[Route]) -> OpenRoutes {
    routes
        .iter()
        .filter(|route| route.open)
        .map(|route| (route.http_method(), route.path))
        .collect()
}

/// The path as OpenAPI writes it, which has no sign for "the rest of the path".
pub(crate) fn openapi_path(path: &str) -> String {
    path.replace("{*", "{")
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn tag_of(path: &str) -> &str {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match parts.next() {
        Some("api") => parts.next().unwrap_or("api"),
        Some(first) => first,
        None => "pages",
    }
}

fn operation_id(method: Method, path: &str) -> String {
    let mut id = method.openapi().to_owned();
    for part in path
        .split(['/', '.', '-', '{', '}', '$'])
        .filter(|part| !part.is_empty())
    {
        id.push('_');
        id.push_str(part);
    }
    id
}

/// The router of all routes; a known path with another method is 405 problem JSON.
pub(crate) fn router(routes: Vec<Route>) -> Router<App> {
    let mut by_path: BTreeMap<&'static str, MethodRouter<App>> = BTreeMap::new();
    for route in routes {
        let merged = match by_path.remove(route.path) {
            Some(others) => others.merge(route.handler),
            None => route.handler,
        };
        by_path.insert(route.path, merged);
    }
    let mut router = Router::new();
    for (path, methods) in by_path {
        router = router.route(path, methods);
    }
    router.method_not_allowed_fallback(|| async {
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "此地址不支持这种请求方法。",
            "This address does not support that method.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape;

    async fn nothing() {}

    #[test]
    fn an_operation_tells_parameters_bodies_and_openness() {
        let route = Route::put("/api/studies/{uid}/report/draft", "Saves", nothing)
            .header("If-Match", "version")
            .query("dry", shape::boolean(), "only check")
            .request(shape::object([("findings", shape::text())]))
            .response(shape::any());
        let op = route.operation();
        assert_eq!(op["operationId"], "put_api_studies_uid_report_draft");
        assert_eq!(op["tags"][0], "studies");
        assert_eq!(op["parameters"][0]["name"], "uid");
        assert_eq!(op["parameters"][1]["in"], "header");
        assert!(op["requestBody"]["content"]["application/json"].is_object());
        assert!(op.get("security").is_none());
        assert_eq!(
            Route::get("/healthz", "Lives", nothing).open().operation()["security"],
            json!([])
        );
    }
}
