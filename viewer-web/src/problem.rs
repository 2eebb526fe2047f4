//! Errors as RFC 9457 problem details, in the reader's language.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// Media type of every error body.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error answer. It keeps both languages; [`localise`] picks one by `Accept-Language`.
#[derive(Clone, Debug)]
pub struct Problem {
    /// HTTP status of the answer.
    pub status: StatusCode,
    /// What went wrong and how to mend it, in Chinese.
    pub detail_zh: String,
    /// The same in English.
    pub detail_en: String,
    kind: &'static str,
    extra: Map<String, Value>,
    retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem with the sentence in both languages.
    pub fn new(status: StatusCode, detail_zh: impl Into<String>, detail_en: impl Into<String>) -> Self {
        Self {
            status,
            detail_zh: detail_zh.into(),
            detail_en: detail_en.into(),
            kind: "about:blank",
            extra: Map::new(),
            retry_after_s: None,
        }
    }

    /// 400 with the reason.
    pub fn bad_request(detail_zh: impl Into<String>, detail_en: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail_zh, detail_en)
    }

    /// 401: no valid session or token.
    pub fn not_signed_in() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "尚未登录或登录已过期。",
            "Not signed in, or the session has ended.",
        )
    }

    /// 403: known, but not allowed.
    pub fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "当前账号没有此项权限。",
            "This account may not do that.",
        )
    }

    /// 404 for anything absent, including what the asker may not know of.
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "没有找到所请求的内容。",
            "There is nothing at this address.",
        )
    }

    /// 406 naming what can be had instead.
    pub fn not_acceptable(offered: &str) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            format!("不能按要求的格式提供。可用格式：{offered}。"),
            format!("Not available in the requested form. Available: {offered}."),
        )
    }

    /// 415 naming what is understood.
    pub fn unsupported_media_type(wanted: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("不支持这种内容类型。需要：{wanted}。"),
            format!("This content type is not understood. Wanted: {wanted}."),
        )
    }

    /// 503 with the time after which to ask again.
    pub fn busy(retry_after_s: u64) -> Self {
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "服务器正忙，稍后重试。",
            "The server is busy. Try again shortly.",
        );
        problem.retry_after_s = Some(retry_after_s);
        problem
    }

    /// 500. The cause goes to the log, never to the asker.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "服务器内部错误，已记录。",
            "Internal error. It has been logged.",
        )
    }

    /// Adds a member beside the standard ones, for example `holder` of a claim.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(member.to_owned(), value.into());
        self
    }

    /// Names the kind of problem by a path below `/problems/` that programs may test for.
    #[must_use]
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// Sets `Retry-After` and `retry_after_s`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    fn body(&self, language: Language) -> String {
        let (title, detail) = match language {
            Language::Chinese => (title_zh(self.status), &self.detail_zh),
            Language::English => (self.status.canonical_reason().unwrap_or("Error"), &self.detail_en),
        };
        let mut members = self.extra.clone();
        members.insert("type".into(), json!(self.kind));
        members.insert("title".into(), json!(title));
        members.insert("status".into(), json!(self.status.as_u16()));
        members.insert("detail".into(), json!(detail));
        if let Some(seconds) = self.retry_after_s {
            members.insert("retry_after_s".into(), json!(seconds));
        }
        Value::Object(members).to_string()
    }

    fn answer(&self, language: Language) -> Response {
        let mut response = Response::new(Body::from(self.body(language)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.answer(Language::Chinese);
        response.extensions_mut().insert(self);
        response
    }
}

/// The two languages of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Chinese, also where nothing is asked for.
    Chinese,
    /// English.
    English,
}

impl Language {
    /// The first of the two that `Accept-Language` names; Chinese where it names neither.
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(wanted) = headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok())
        else {
            return Self::Chinese;
        };
        for range in wanted.split(',') {
            let name = range
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase();
            if name.starts_with("zh") || name == "*" {
                return Self::Chinese;
            }
            if !name.is_empty() {
                return Self::English;
            }
        }
        Self::Chinese
    }

    fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en",
        }
    }
}

/// Middleware that rewrites a [`Problem`] answer into the language asked for.
pub(crate) async fn localise(request: Request, next: Next) -> Response {
    let language = Language::of(request.headers());
    let response = next.run(request).await;
    if language == Language::Chinese {
        return response;
    }
    match response.extensions().get::<Problem>() {
        Some(problem) => {
            let mut translated = problem.answer(language);
            for (name, value) in response.headers() {
                if !translated.headers().contains_key(name) && name != header::CONTENT_LENGTH {
                    translated.headers_mut().append(name.clone(), value.clone());
                }
            }
            translated
        }
        None => response,
    }
}

fn title_zh(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "请求有误",
        401 => "需要登录",
        403 => "没有权限",
        404 => "没有找到",
        405 => "不支持此操作",
        406 => "格式不可用",
        408 => "请求超时",
        409 => "与当前状态冲突",
        410 => "已失效",
        412 => "内容已被更新",
        413 => "内容过大",
        414 => "地址过长",
        415 => "内容类型不支持",
        416 => "范围无效",
        422 => "内容无效",
        423 => "已锁定",
        428 => "缺少版本条件",
        429 => "请求过于频繁",
        503 => "暂不可用",
        504 => "处理超时",
        507 => "存储空间不足",
        _ => "服务器错误",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(problem: &Problem, language: Language) -> Value {
        serde_json::from_str(&problem.body(language)).unwrap()
    }

    #[test]
    fn a_problem_names_type_title_status_and_detail_in_both_languages() {
        let problem = Problem::not_found().with("study_uid", "1.2.3");
        let zh = body_of(&problem, Language::Chinese);
        assert_eq!(zh["type"], "about:blank");
        assert_eq!(zh["title"], "没有找到");
        assert_eq!(zh["status"], 404);
        assert_eq!(zh["study_uid"], "1.2.3");
        let en = body_of(&problem, Language::English);
        assert_eq!(en["title"], "Not Found");
        assert_eq!(en["detail"], "There is nothing at this address.");
    }

    #[test]
    fn the_language_is_the_first_range_and_chinese_by_default() {
        let check = |value: Option<&str>, expect| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::ACCEPT_LANGUAGE, value.parse().unwrap());
            }
            assert_eq!(Language::of(&headers), expect, "{value:?}");
        };
        check(None, Language::Chinese);
        check(Some(""), Language::Chinese);
        check(Some("*"), Language::Chinese);
        check(Some("zh-CN,zh;q=0.9,en;q=0.8"), Language::Chinese);
        check(Some("ZH"), Language::Chinese);
        check(Some("en-GB,zh;q=0.5"), Language::English);
        check(Some("fr"), Language::English);
    }

    #[test]
    fn retry_after_stands_in_header_and_body() {
        let problem = Problem::busy(3);
        assert_eq!(body_of(&problem, Language::English)["retry_after_s"], 3);
        assert_eq!(problem.into_response().headers()[header::RETRY_AFTER], "3");
    }
}
