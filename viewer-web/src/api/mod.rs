//! The JSON API: one file per noun, each thin over a function of `reading`.

mod admin;
mod audit;
mod critical;
mod fhir;
mod orders;
mod patients;
mod quality;
mod renditions;
mod report;
mod shares;
mod statistics;
mod worklist;

use crate::route::Route;
use crate::shape::{self, Shape};

/// Every operation of the JSON API.
pub(crate) fn routes() -> Vec<Route> {
    let mut routes = worklist::routes();
    routes.extend(report::routes());
    routes.extend(renditions::routes());
    routes.extend(fhir::routes());
    routes.extend(orders::routes());
    routes.extend(patients::routes());
    routes.extend(critical::routes());
    routes.extend(quality::routes());
    routes.extend(shares::routes());
    routes.extend(statistics::routes());
    routes.extend(audit::routes());
    routes.extend(admin::routes());
    routes
}

/// A person.
fn person() -> Shape {
    shape::object([("user", shape::text()), ("display_name", shape::text())])
}

/// An institution by code and name.
fn institution() -> Shape {
    shape::object([("code", shape::text()), ("name", shape::text())])
}

/// A patient as lists show them.
fn patient() -> Shape {
    shape::object([
        ("id", shape::text()),
        ("name", shape::text()),
        ("name_pinyin", shape::text().optional()),
        ("sex", shape::one_of(&["M", "F", "O"]).optional()),
        ("birth_date", shape::date().optional()),
        ("age_text", shape::text().optional()),
        ("identifier", shape::text()),
        ("national_id_masked", shape::text().optional()),
    ])
}

/// A recognition mark.
fn hr_mark() -> Shape {
    shape::object([
        ("scope", shape::text()),
        ("text", shape::text()),
        ("valid_until", shape::time().optional()),
    ])
}

/// A decision about recognition.
fn decision() -> Shape {
    let reasons: Vec<&str> = reading::recognition::Reason::ALL
        .iter()
        .map(|r| r.code())
        .collect();
    shape::object([
        ("id", shape::integer()),
        ("study_uid", shape::uid()),
        ("decision", shape::one_of(&["recognised", "refused"])),
        ("reason_code", shape::one_of(&reasons).optional()),
        ("institution", institution()),
        ("by", person()),
        ("at", shape::time()),
        ("note", shape::text().optional()),
    ])
}
