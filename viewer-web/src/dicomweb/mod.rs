//! DICOMweb (PS3.18): search, retrieve, store.
//!
//! Every retrieval goes through `reading::access::guard`, which decides and writes the audit row before a byte is
//! read; searches see only what the asker's institution may see.

mod bulkdata;
mod forms;
mod frame_list;
mod frames;
pub(crate) mod holdings;
mod json;
pub(crate) mod layout;
mod metadata;
mod multipart;
mod objects;
mod render_query;
mod rendered;
mod search;
mod search_query;
mod store;
pub(crate) mod uids;

use crate::route::Route;
use crate::shape;

const STUDY: &str = "/dicomweb/studies/{study}";

macro_rules! below_study {
    ($rest:literal) => {
        concat!("/dicomweb/studies/{study}", $rest)
    };
}

macro_rules! below_series {
    ($rest:literal) => {
        concat!("/dicomweb/studies/{study}/series/{series}", $rest)
    };
}

macro_rules! below_instance {
    ($rest:literal) => {
        concat!(
            "/dicomweb/studies/{study}/series/{series}/instances/{instance}",
            $rest
        )
    };
}

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = search_routes();
    routes.extend(object_routes());
    routes.extend(frame_routes());
    routes.extend(picture_routes());
    routes.extend(store_routes());
    routes
}

fn searching(route: Route) -> Route {
    route
        .query("limit", shape::integer(), "answers at most")
        .query("offset", shape::integer(), "answers to leave out")
        .query(
            "includefield",
            shape::text(),
            "further attributes, by tag or keyword, or `all`",
        )
        .query(
            "fuzzymatching",
            shape::boolean(),
            "names match by their beginning, parts, pinyin and first letters",
        )
        .response_as("application/dicom+json", shape::list(shape::any()))
        .response_as("application/json", shape::list(shape::any()))
}

fn search_routes() -> Vec<Route> {
    vec![
        searching(Route::get(
            "/dicomweb/studies",
            "QIDO-RS: studies",
            search::studies,
        )),
        searching(Route::get(
            "/dicomweb/series",
            "QIDO-RS: series of all studies",
            search::series,
        )),
        searching(Route::get(
            "/dicomweb/instances",
            "QIDO-RS: instances of all studies",
            search::instances,
        )),
        searching(Route::get(
            below_study!("/series"),
            "QIDO-RS: series of a study",
            search::series,
        )),
        searching(Route::get(
            below_study!("/instances"),
            "QIDO-RS: instances of a study",
            search::instances,
        )),
        searching(Route::get(
            below_series!("/instances"),
            "QIDO-RS: instances of a series",
            search::instances,
        )),
    ]
}

fn object_routes() -> Vec<Route> {
    let objects = |route: Route| {
        route
            .response_as("multipart/related; type=\"application/dicom\"", shape::binary())
            .response_as("application/dicom", shape::binary())
    };
    let metadata = |route: Route| {
        route
            .header("If-None-Match", "entity tag of an earlier answer")
            .response_as("application/dicom+json", shape::list(shape::any()))
    };
    vec![
        objects(Route::get(
            STUDY,
            "WADO-RS: all objects of a study",
            objects::objects,
        )),
        objects(Route::get(
            below_series!(""),
            "WADO-RS: all objects of a series",
            objects::objects,
        )),
        objects(Route::get(
            below_instance!(""),
            "WADO-RS: one object",
            objects::objects,
        )),
        metadata(Route::get(
            below_study!("/metadata"),
            "WADO-RS: attributes of a study's objects",
            metadata::metadata,
        )),
        metadata(Route::get(
            below_series!("/metadata"),
            "WADO-RS: attributes of a series' objects",
            metadata::metadata,
        )),
        metadata(Route::get(
            below_instance!("/metadata"),
            "WADO-RS: attributes of one object",
            metadata::metadata,
        )),
        Route::get(
            below_instance!("/bulkdata/{*path}"),
            "WADO-RS: one large value",
            bulkdata::bulkdata,
        )
        .response_as("application/octet-stream", shape::binary()),
    ]
}

fn frame_routes() -> Vec<Route> {
    vec![
        Route::get(
            below_instance!("/frames/{frames}"),
            "WADO-RS: frames, counted from 1, as stored or decoded",
            frames::frames,
        )
        .header("Range", "bytes of a single frame")
        .response_as(
            "multipart/related; type=\"application/octet-stream\"",
            shape::binary(),
        )
        .response_as("application/octet-stream", shape::binary())
        .response_as("image/jphc", shape::binary()),
    ]
}

fn picture_routes() -> Vec<Route> {
    let picture = |route: Route| {
        route
            .query(
                "viewport",
                shape::text(),
                "width,height into which the picture fits",
            )
            .query(
                "window",
                shape::text(),
                "center,width[,linear|linear_exact|sigmoid]",
            )
            .query("quality", shape::integer(), "1 to 100, JPEG only")
            .response_as("image/jpeg", shape::binary())
            .response_as("image/png", shape::binary())
            .response_as("image/webp", shape::binary())
    };
    use rendered as r;
    [
        Route::get(
            below_study!("/rendered"),
            "Picture that stands for a study",
            r::rendered_study,
        ),
        Route::get(
            below_series!("/rendered"),
            "Picture that stands for a series",
            r::rendered_series,
        ),
        Route::get(
            below_instance!("/rendered"),
            "First frame as a picture",
            r::rendered_instance,
        ),
        Route::get(
            below_instance!("/frames/{frames}/rendered"),
            "A frame as a picture",
            r::rendered_frame,
        ),
        Route::get(
            below_study!("/thumbnail"),
            "Small picture of a study",
            r::thumbnail_study,
        ),
        Route::get(
            below_series!("/thumbnail"),
            "Small picture of a series",
            r::thumbnail_series,
        ),
        Route::get(
            below_instance!("/thumbnail"),
            "Small picture of an object",
            r::thumbnail_instance,
        ),
        Route::get(
            below_instance!("/frames/{frames}/thumbnail"),
            "Small picture of a frame",
            r::thumbnail_frame,
        ),
    ]
    .map(picture)
    .into()
}

fn store_routes() -> Vec<Route> {
    let storing = |route: Route| {
        route
            .request_as("multipart/related; type=\"application/dicom\"", shape::binary())
            .response_as("application/dicom+json", shape::any())
    };
    vec![
        storing(Route::post(
            "/dicomweb/studies",
            "STOW-RS: stores objects",
            store::store,
        )),
        storing(Route::post(
            STUDY,
            "STOW-RS: stores objects of this study",
            store::store_into,
        )),
    ]
}
