//! What a township node keeps of the centre: devices, waiting exam requests, issued reports, rejects.

use super::node;
use crate::App;
use crate::extract::{Json, Query};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape;
use archive::edge::EdgeNode;
use archive::edge::wire::{DeviceWire, News, OrderWire, Section};
use archive::order::{OrderFilter, OrderItem};
use archive::{InstitutionId, UnixMicros};
use axum::extract::State;
use reading::access::{Action, guard_global};
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

/// Longest wait for news.
const WAIT_S_MAX: u64 = 30;
/// The index is looked at again after this time, because another process may have written it.
const LOOK_AGAIN: Duration = Duration::from_secs(4);
/// Exam requests that a node keeps.
const ORDERS_MAX: u32 = 1000;
/// Exam requests scheduled longer ago are not waited for any more.
const ORDERS_FROM: Duration = Duration::from_secs(14 * 24 * 3600);
/// Devices that a node keeps.
const DEVICES_MAX: usize = 500;

pub(super) fn routes() -> Vec<Route> {
    let section =
        || shape::object([("mark", shape::text()), ("items", shape::list(shape::any()))]).optional();
    vec![
        Route::get(
            "/api/edge/news",
            "Devices, exam requests, reports and rejects of the node's institution, as far as they changed",
            news,
        )
        .query("devices", shape::text(), "mark of the list that the node has")
        .query("orders", shape::text(), "mark of the list that the node has")
        .query("reports", shape::text(), "mark of the list that the node has")
        .query("rejects", shape::text(), "mark of the list that the node has")
        .query(
            "wait",
            shape::integer(),
            "seconds to wait for a change, at most 30",
        )
        .response(shape::object([
            ("now", shape::integer()),
            ("devices", section()),
            ("orders", section()),
            ("reports", section()),
            ("rejects", section()),
        ])),
    ]
}

#[derive(Deserialize)]
struct Known {
    devices: Option<String>,
    orders: Option<String>,
    reports: Option<String>,
    rejects: Option<String>,
    #[serde(default)]
    wait: u64,
}

async fn news(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(known): Query<Known>,
) -> Result<Json<News>, Problem> {
    let node = node::of(&app, &actor).await?;
    let mut events = app.archive().events().listen();
    let until = Instant::now() + Duration::from_secs(known.wait.min(WAIT_S_MAX));
    loop {
        let found = changed(&app, &node, &known).await?;
        let any = found.devices.is_some()
            || found.orders.is_some()
            || found.reports.is_some()
            || found.rejects.is_some();
        if any {
            // What leaves is audited; looking for it is not.
            guard_global(app.reading(), &actor, Action::ListOrders).await?;
            return Ok(Json(found));
        }
        let look = Instant::now() + LOOK_AGAIN;
        while Instant::now() < look.min(until) {
            match tokio::time::timeout_at(look.min(until), events.recv()).await {
                Ok(Ok(event)) if event.institution_ids.contains(&node.institution_id) => break,
                Ok(Err(RecvError::Lagged(_))) => break,
                Ok(Err(RecvError::Closed)) => return Ok(Json(found)),
                Ok(Ok(_)) | Err(_) => {}
            }
        }
        if Instant::now() >= until {
            return Ok(Json(found));
        }
    }
}

/// The sections that are not as the node knows them.
async fn changed(app: &App, node: &EdgeNode, known: &Known) -> Result<News, Problem> {
    let institution = node.institution_id;
    Ok(News {
        now: UnixMicros::now().0,
        devices: news_of(devices(app, institution).await?, known.devices.as_deref()),
        orders: news_of(orders(app, institution).await?, known.orders.as_deref()),
        reports: news_of(
            reading::edge::issued(app.reading(), institution).await?,
            known.reports.as_deref(),
        ),
        rejects: news_of(
            reading::edge::rejected(app.reading(), institution).await?,
            known.rejects.as_deref(),
        ),
    })
}

fn news_of<T: serde::Serialize>(items: Vec<T>, known: Option<&str>) -> Option<Section<T>> {
    let section = Section::new(items);
    (Some(section.mark.as_str()) != known).then_some(section)
}

/// Devices of an institution that may send to its node.
pub(super) async fn devices(app: &App, institution: InstitutionId) -> Result<Vec<DeviceWire>, Problem> {
    let all = app.archive().devices().list().await?;
    let own = all
        .into_iter()
        .filter(|device| device.institution_id == institution && device.revoked_at.is_none());
    let wire = own.map(|device| DeviceWire {
        name: device.name,
        ae_title: device.ae_title,
        from_addr: device.from_addr,
        may_store: device.may_store,
        may_query: device.may_query,
        may_retrieve: device.may_retrieve,
        expires_at: device.expires_at.map(|at| at.0),
    });
    Ok(wire.take(DEVICES_MAX).collect())
}

async fn orders(app: &App, institution: InstitutionId) -> Result<Vec<OrderWire>, Problem> {
    let filter = OrderFilter {
        institutions: Some(vec![institution]),
        from: Some(UnixMicros::now().minus(ORDERS_FROM)),
        ..OrderFilter::default()
    };
    let list = app.archive().orders().worklist(&filter, ORDERS_MAX).await?;
    Ok(list.into_iter().map(order_wire).collect())
}

fn order_wire(item: OrderItem) -> OrderWire {
    let OrderItem { order, patient } = item;
    OrderWire {
        accession_number: order.accession_number,
        study_uid: order.study_uid,
        patient_id: patient.identifier,
        issuer: patient.issuer,
        name_alphabetic: patient.name_alphabetic,
        name_ideographic: patient.name_ideographic,
        sex: patient.sex,
        birth_date: patient.birth_date,
        modality: order.modality,
        body_part: order.body_part,
        item_code: order.item_code,
        item_name: order.item_name,
        priority: order.priority.as_str().to_owned(),
        clinical_history: order.clinical_history,
        scheduled_ae: order.scheduled_ae,
        scheduled_at: order.scheduled_at.0,
        ordered_by: order.ordered_by,
    }
}
