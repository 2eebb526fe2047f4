//! Accounts, institutions and devices.

use super::institution;
use crate::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape::{self, Shape};
use archive::device::NewDevice;
use archive::institution::NewInstitution;
use archive::{DeviceId, InstitutionId, Sha256Digest, UnixMicros};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use reading::access::{Action, guard_global};
use reading::account::NewAccount;
use reading::{Actor, ReadingError, Role, Roles};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/institutions", "Institutions of the community", institutions)
            .response(shape::page(shape::any())),
        Route::get(
            "/api/admin/institutions",
            "Institutions of the community",
            institutions,
        )
        .response(shape::page(shape::any())),
        Route::post("/api/admin/institutions", "Adds an institution", add_institution)
            .request(shape::object([
                ("code", shape::text()),
                ("name", shape::text()),
                ("name_en", shape::text().optional()),
                (
                    "kind",
                    shape::one_of(&[
                        "county_hospital",
                        "tcm_hospital",
                        "township_hospital",
                        "village_clinic",
                    ]),
                ),
            ]))
            .status(StatusCode::CREATED)
            .response(shape::any()),
        Route::get("/api/admin/users", "Accounts", users).response(shape::page(user())),
        Route::post("/api/admin/users", "Adds an account", add_user)
            .request(new_user())
            .status(StatusCode::CREATED)
            .response(shape::object([("user", shape::text())])),
        Route::put(
            "/api/admin/users/{user}",
            "Changes an account; its sessions end",
            change_user,
        )
        .request(new_user())
        .status(StatusCode::NO_CONTENT),
        Route::get("/api/admin/devices", "Enrolled devices", devices).response(shape::page(shape::any())),
        Route::get(
            "/api/admin/devices/refused",
            "Callers that were turned away lately, newest first",
            refused_callers,
        )
        .response(shape::page(refused_caller())),
        Route::post("/api/admin/devices", "Enrols a device", add_device)
            .request(shape::object([
                ("name", shape::text()),
                ("ae_title", shape::text()),
                ("institution", shape::text()),
                ("from_addr", shape::text().optional()),
                ("listener", shape::text().optional()),
                ("may_query", shape::boolean().optional()),
                ("may_retrieve", shape::boolean().optional()),
                ("certificate_sha256", shape::text().optional()),
                ("expires_at", shape::text().optional()),
            ]))
            .status(StatusCode::CREATED)
            .response(shape::any()),
        Route::delete(
            "/api/admin/devices/{id}",
            "Ends an enrolment for good",
            revoke_device,
        )
        .status(StatusCode::NO_CONTENT),
    ]
}

fn refused_caller() -> Shape {
    shape::object([
        ("calling", shape::text()),
        ("address", shape::text()),
        ("called", shape::text()),
        ("reason", shape::text()),
        ("certificate_sha256", shape::text().optional()),
        ("count", shape::integer()),
        ("first_at", shape::text()),
        ("last_at", shape::text()),
    ])
}

fn user() -> Shape {
    shape::object([
        ("user", shape::text()),
        ("display_name", shape::text()),
        ("institution", institution()),
        ("roles", shape::list(shape::text())),
        ("disabled", shape::boolean()),
        ("locked", shape::boolean()),
        ("last_login_at", shape::time().optional()),
    ])
}

fn new_user() -> Shape {
    shape::object([
        ("user", shape::text().optional()),
        ("display_name", shape::text().optional()),
        ("institution", shape::text().optional()),
        ("roles", shape::list(shape::text()).optional()),
        ("password", shape::text().optional()),
        ("disabled", shape::boolean().optional()),
    ])
}

/// The list of institutions is no secret to anybody who works in one of them.
async fn institutions(State(app): State<App>, _: Signed) -> Result<Json<Value>, Problem> {
    let items: Vec<Value> = app
        .archive()
        .institutions()
        .list()
        .await?
        .into_iter()
        .map(|i| json!({"id": i.id, "code": i.code, "name": i.name_zh, "name_en": i.name_en, "kind": i.kind}))
        .collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

#[derive(Deserialize)]
struct InstitutionInput {
    #[serde(default)]
    code: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    name_en: String,
    #[serde(default)]
    kind: String,
}

async fn add_institution(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(input): Json<InstitutionInput>,
) -> Result<impl IntoResponse, Problem> {
    guard_global(app.reading(), &actor, Action::ManageDevices).await?;
    let new = NewInstitution {
        code: input.code,
        name_zh: input.name,
        name_en: input.name_en,
        kind: input.kind.parse()?,
    };
    let made = app.archive().institutions().create(new).await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({"id": made.id, "code": made.code, "name": made.name_zh})),
    ))
}

async fn users(State(app): State<App>, Signed(actor): Signed) -> Result<Json<Value>, Problem> {
    guard_global(app.reading(), &actor, Action::ManageAccounts).await?;
    Ok(Json(
        json!({"items": app.reading().accounts().await?, "next_cursor": null}),
    ))
}

#[derive(Deserialize)]
struct UserInput {
    user: Option<String>,
    display_name: Option<String>,
    institution: Option<String>,
    roles: Option<Vec<String>>,
    password: Option<String>,
    disabled: Option<bool>,
}

impl UserInput {
    fn roles(&self) -> Result<Option<Roles>, ReadingError> {
        let unknown = || ReadingError::invalid("roles", "没有这个岗位", "is not a role");
        let Some(words) = &self.roles else { return Ok(None) };
        let roles: Option<Roles> = words.iter().map(|w| Role::parse(w)).collect();
        roles.map(Some).ok_or_else(unknown)
    }
}

async fn institution_of(app: &App, code: Option<&str>) -> Result<Option<InstitutionId>, Problem> {
    match code {
        Some(code) => Ok(Some(app.archive().institutions().by_code(code).await?.id)),
        None => Ok(None),
    }
}

async fn add_user(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(input): Json<UserInput>,
) -> Result<impl IntoResponse, Problem> {
    guard_global(app.reading(), &actor, Action::ManageAccounts).await?;
    let missing = || ReadingError::invalid("institution", "请指明机构", "an institution is needed");
    let institution_id = institution_of(&app, input.institution.as_deref())
        .await?
        .ok_or_else(missing)?;
    let roles = input.roles()?.unwrap_or_default();
    let user = input.user.unwrap_or_default();
    let new = NewAccount {
        display_name: input.display_name.unwrap_or_else(|| user.clone()),
        institution_id,
        roles,
        password: input.password.unwrap_or_default(),
        user: user.clone(),
    };
    app.reading().create_account(new).await?;
    Ok((StatusCode::CREATED, Json(json!({"user": user}))))
}

async fn change_user(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(user): Path<String>,
    Json(input): Json<UserInput>,
) -> Result<StatusCode, Problem> {
    guard_global(app.reading(), &actor, Action::ManageAccounts).await?;
    let gone = || ReadingError::not_found("没有这个账号", "There is no such account");
    let kept = app.reading().account(&user).await?.ok_or_else(gone)?;
    let institution_id = institution_of(&app, input.institution.as_deref())
        .await?
        .unwrap_or(kept.institution_id);
    let roles = input.roles()?.unwrap_or(kept.roles);
    let name = input.display_name.unwrap_or(kept.display_name);
    let disabled = input.disabled.unwrap_or(kept.disabled_at.is_some());
    app.reading()
        .update_account(&user, &name, institution_id, roles, disabled)
        .await?;
    if let Some(password) = input.password.filter(|p| !p.is_empty()) {
        app.reading().set_password(&user, &password).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn manages_devices(app: &App, actor: &Actor) -> Result<(), Problem> {
    Ok(guard_global(app.reading(), actor, Action::ManageDevices).await?)
}

async fn devices(State(app): State<App>, Signed(actor): Signed) -> Result<Json<Value>, Problem> {
    manages_devices(&app, &actor).await?;
    let mut activity = app.archive().device_activity().await?;
    let items: Vec<Value> = app
        .archive()
        .devices()
        .list()
        .await?
        .into_iter()
        .map(|device| {
            let did = activity.remove(&device.id).unwrap_or_default();
            let mut shown = json!(device);
            shown["activity"] = json!(did);
            shown
        })
        .collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

#[derive(Deserialize)]
struct DeviceInput {
    #[serde(default)]
    name: String,
    #[serde(default)]
    ae_title: String,
    #[serde(default)]
    institution: String,
    from_addr: Option<String>,
    listener: Option<String>,
    may_query: Option<bool>,
    may_retrieve: Option<bool>,
    certificate_sha256: Option<String>,
    expires_at: Option<String>,
}

impl DeviceInput {
    fn certificate(&self) -> Result<Option<Sha256Digest>, ReadingError> {
        let wrong = || {
            ReadingError::invalid(
                "certificate_sha256",
                "请填64位十六进制数",
                "write 64 hexadecimal digits",
            )
        };
        let Some(digits) = &self.certificate_sha256 else {
            return Ok(None);
        };
        let pairs = digits.as_bytes().chunks(2).map(|pair| {
            let text = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(text, 16).ok()
        });
        let bytes = pairs.collect::<Option<Vec<u8>>>().ok_or_else(wrong)?;
        Sha256Digest::from_slice(&bytes).map(Some).ok_or_else(wrong)
    }

    fn expires_at(&self) -> Result<Option<UnixMicros>, ReadingError> {
        let wrong = || {
            ReadingError::invalid(
                "expires_at",
                "请填带时区的时间",
                "write a moment with its time zone",
            )
        };
        let Some(text) = &self.expires_at else {
            return Ok(None);
        };
        UnixMicros::parse_iso8601(text).map(Some).ok_or_else(wrong)
    }
}

/// Who knocked and was turned away: an administrator enrols it from here.
async fn refused_callers(State(app): State<App>, Signed(actor): Signed) -> Result<Json<Value>, Problem> {
    manages_devices(&app, &actor).await?;
    let callers = app.archive().devices().refused().await?;
    let items: Vec<Value> = callers
        .iter()
        .map(|caller| {
            json!({
                "calling": caller.calling,
                "address": caller.address,
                "called": caller.called,
                "reason": caller.reason,
                "certificate_sha256": caller.certificate,
                "count": caller.count,
                "first_at": caller.first_at.to_iso8601(),
                "last_at": caller.last_at.to_iso8601(),
            })
        })
        .collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

async fn add_device(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(input): Json<DeviceInput>,
) -> Result<impl IntoResponse, Problem> {
    manages_devices(&app, &actor).await?;
    let (certificate, expires_at) = (input.certificate()?, input.expires_at()?);
    let device = NewDevice {
        institution_id: app.archive().institutions().by_code(&input.institution).await?.id,
        name: input.name,
        ae_title: input.ae_title,
        from_addr: input.from_addr,
        may_store: true,
        may_query: input.may_query.unwrap_or(false),
        may_retrieve: input.may_retrieve.unwrap_or(false),
        listener: input.listener,
        expires_at,
    };
    let devices = app.archive().devices();
    let made = devices.create_with_certificate(device, certificate).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

async fn revoke_device(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    manages_devices(&app, &actor).await?;
    let gone = || ReadingError::not_found("没有这台设备", "There is no such device");
    let id = id.parse().map_err(|_| gone())?;
    app.archive().devices().revoke(DeviceId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
