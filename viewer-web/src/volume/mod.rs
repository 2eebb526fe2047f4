//! Planes, slabs and projections that the server makes of a series, for devices without the memory or the graphics
//! for a volume of their own.

mod elsewhere;
mod load;
mod query;

use crate::App;
use crate::dicomweb::layout;
use crate::extract::{Json, Path, Query};
use crate::http::conditional::{CACHE_PRIVATE_REVALIDATE, etag, is_current, not_modified, ranged};
use crate::problem::Problem;
use crate::route::Route;
use crate::session::Signed;
use crate::shape;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use elsewhere::Elsewhere;
use engine::codec::npy;
use engine::pixel::{Format, Window, encode};
use engine::volume::{Finding, Reformat, SeriesVolume, display, whole_range};
use query::{Form, MprQuery, ProjectQuery, Seen};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/api/series/{uid}/volume",
            "Where the voxels of a series lie, and what is wrong with it",
            info,
        )
        .query(
            "phase",
            shape::integer(),
            "one of several volumes; 1 where absent",
        )
        .response(shape::object([
            ("dimensions", shape::list(shape::integer()).about("z, y, x")),
            ("spacing_mm", shape::list(shape::number()).about("z, y, x")),
            ("volumes", shape::integer()),
            (
                "warnings",
                shape::list(shape::object([
                    ("text_zh", shape::text()),
                    ("text_en", shape::text()),
                ])),
            ),
        ])),
        picture(Route::get(
            "/api/series/{uid}/mpr",
            "A plane or slab through a series",
            mpr,
        ))
        .query(
            "plane",
            shape::one_of(&["axial", "coronal", "sagittal"]),
            "native plane, with index",
        )
        .query("index", shape::integer(), "slice of the plane, from 0")
        .query("origin", shape::text(), "X,Y,Z in mm: centre of the first pixel")
        .query("row", shape::text(), "X,Y,Z along a row")
        .query("col", shape::text(), "X,Y,Z down a column")
        .query("pixel", shape::number(), "mm between pixels")
        .query("slab", shape::number(), "mm of a slab centred on the plane")
        .query(
            "mode",
            shape::one_of(&["mip", "minip", "mean"]),
            "how a slab is put together; mip where absent",
        ),
        picture(Route::get(
            "/api/series/{uid}/project",
            "A projection of a whole series",
            project,
        ))
        .query(
            "mode",
            shape::one_of(&["mip", "minip", "mean", "composite"]),
            "what is made of the values along a ray; mip where absent",
        )
        .query(
            "preset",
            shape::one_of(&["ct-bone", "ct-vessel", "ct-lung", "mr"]),
            "colours of composite; ct-bone where absent",
        )
        .query(
            "view",
            shape::text(),
            "AZIMUTH,ELEVATION in degrees; 0,0 where absent",
        ),
    ]
}

fn picture(route: Route) -> Route {
    route
        .query("size", shape::text(), "WIDTH,HEIGHT in pixels")
        .query(
            "window",
            shape::text(),
            "CENTER,WIDTH of a png; the series' own where absent",
        )
        .query(
            "phase",
            shape::integer(),
            "one of several volumes; 1 where absent",
        )
        .query(
            "format",
            shape::one_of(&["png", "npy"]),
            "npy holds values; png where absent",
        )
        .response_as("image/png", shape::binary())
        .response_as("application/octet-stream", shape::binary())
}

#[derive(serde::Deserialize)]
struct Which {
    phase: Option<usize>,
}

async fn info(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(series): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Problem> {
    let (volume, _) = load::open(&app, &actor, &series, which.phase).await?;
    let grid = volume.volume.grid();
    let ([x, y, z], [sx, sy, sz]) = (grid.dims(), grid.spacing_mm());
    let warning = |f: &Finding| json!({"text_zh": f.zh(), "text_en": f.en()});
    Ok(Json(json!({
        "dimensions": [z, y, x],
        "spacing_mm": [sz, sy, sx],
        "volumes": volume.volumes,
        "warnings": volume.findings.iter().map(warning).collect::<Vec<_>>(),
    })))
}

async fn mpr(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(series): Path<String>,
    Query(query): Query<MprQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wish = query.check()?;
    let (volume, key) = load::open(&app, &actor, &series, query.phase).await?;
    let form = query::form(query.format.as_deref(), query.window.as_deref())?;
    let elsewhere = Elsewhere::new(app.settings().volume_device.as_ref(), &key);
    let tag = etag(&[&key, "mpr", elsewhere.mark(), &format!("{query:?}")]);
    let work = move |volume: &SeriesVolume| {
        let picture = wish.cut(&volume.volume, &elsewhere).map_err(layout::problem)?;
        written(&picture, &form, volume.window.as_ref())
    };
    answer(&app, volume, &headers, tag, query.media_type(), work).await
}

async fn project(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(series): Path<String>,
    Query(query): Query<ProjectQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wish = query.check()?;
    let (volume, key) = load::open(&app, &actor, &series, query.phase).await?;
    let form = query::form(query.format.as_deref(), query.window.as_deref())?;
    let elsewhere = Elsewhere::new(app.settings().volume_device.as_ref(), &key);
    let tag = etag(&[&key, "project", elsewhere.mark(), &format!("{query:?}")]);
    let work = move |volume: &SeriesVolume| {
        let seen = wish.see(&volume.volume, &elsewhere).map_err(layout::problem)?;
        match seen {
            Seen::Values(picture) => written(&picture, &form, None),
            Seen::Colours(picture) => {
                let png = encode(&picture, Format::Png, 0).map_err(layout::problem)?;
                Ok(Bytes::from(png))
            }
        }
    };
    answer(&app, volume, &headers, tag, query.media_type(), work).await
}

fn written(picture: &Reformat, form: &Form, own: Option<&Window>) -> Result<Bytes, Problem> {
    let bytes = match form {
        Form::Values => npy::write_f32(&[picture.height as u64, picture.width as u64], &picture.values),
        Form::Grey(asked) => {
            let whole = whole_range(picture);
            let window = asked.as_ref().or(own).unwrap_or(&whole);
            encode(&display(picture, window), Format::Png, 0).map_err(layout::problem)?
        }
    };
    Ok(Bytes::from(bytes))
}

/// From memory where the same was made before, else from the compute pool.
async fn answer(
    app: &App,
    volume: Arc<SeriesVolume>,
    headers: &HeaderMap,
    tag: String,
    media_type: &'static str,
    work: impl FnOnce(&SeriesVolume) -> Result<Bytes, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    if is_current(headers, &tag) {
        return Ok(not_modified(&tag, CACHE_PRIVATE_REVALIDATE));
    }
    let body = match app.made().get(&tag) {
        Some(made) => made,
        None => {
            let made = app.pool().run(move || work(&volume)).await??;
            app.made().put(&tag, made.clone(), made.len());
            made
        }
    };
    Ok(ranged(headers, media_type, &tag, CACHE_PRIVATE_REVALIDATE, body))
}
