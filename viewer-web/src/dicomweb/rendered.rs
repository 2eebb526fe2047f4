//! Pictures: `rendered` and `thumbnail` of frames, instances, series and studies (PS3.18 section 10.4.1.1.3 and .5).

use super::holdings::{self, Held};
use super::layout;
use super::render_query::{RenderQuery, RenderWish};
use super::{frame_list, uids};
use crate::App;
use crate::extract::{Path, Query};
use crate::http::accept::choose;
use crate::http::conditional::{
    CACHE_PRIVATE_IMMUTABLE, CACHE_PRIVATE_REVALIDATE, etag, is_current, not_modified, ranged,
};
use crate::problem::Problem;
use crate::session::Signed;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use engine::pixel::{Format, RenderOptions, Window, encode, render};
use reading::access::{Action, guard};

/// Kind under which the worker keeps thumbnails.
const THUMBNAIL: &str = "thumbnail";
/// Longest side of a thumbnail where no viewport is asked for.
const THUMBNAIL_SIDE: u32 = 256;
const FORMATS: [(&str, &str); 3] = [("image", "jpeg"), ("image", "png"), ("image", "webp")];

/// Which of the two resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rendered,
    Thumbnail,
}

/// Whose picture.
enum Of {
    Study(String),
    Series(String, String),
    Instance(String, String, String),
    Frame(String, String, String, String),
}

macro_rules! picture_handlers {
    ($($name:ident, $kind:ident, $path:ty, $pattern:pat => $of:expr;)+) => {$(
        pub(crate) async fn $name(
            State(app): State<App>,
            signed: Signed,
            Path($pattern): Path<$path>,
            Query(query): Query<RenderQuery>,
            headers: HeaderMap,
        ) -> Result<Response, Problem> {
            picture(app, signed, $of, Kind::$kind, query, headers).await
        }
    )+};
}

picture_handlers! {
    rendered_study, Rendered, String, study => Of::Study(study);
    rendered_series, Rendered, (String, String), (study, series) => Of::Series(study, series);
    rendered_instance, Rendered, (String, String, String), (study, series, instance) => Of::Instance(study, series, instance);
    rendered_frame, Rendered, (String, String, String, String), (study, series, instance, frame) => Of::Frame(study, series, instance, frame);
    thumbnail_study, Thumbnail, String, study => Of::Study(study);
    thumbnail_series, Thumbnail, (String, String), (study, series) => Of::Series(study, series);
    thumbnail_instance, Thumbnail, (String, String, String), (study, series, instance) => Of::Instance(study, series, instance);
    thumbnail_frame, Thumbnail, (String, String, String, String), (study, series, instance, frame) => Of::Frame(study, series, instance, frame);
}

async fn picture(
    app: App,
    Signed(actor): Signed,
    of: Of,
    kind: Kind,
    query: RenderQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wish = query.check()?;
    let study = match &of {
        Of::Study(study) | Of::Series(study, ..) | Of::Instance(study, ..) | Of::Frame(study, ..) => {
            uids::study(study)?
        }
    };
    guard(app.reading(), &actor, Action::ViewImages, study.as_str()).await?;
    let (held, index, cache) = subject(&app, &of).await?;
    let format = format_for(&headers)?;
    let window = wish
        .window
        .as_deref()
        .map(Window::parse)
        .transpose()
        .map_err(layout::problem)?;
    let name = if kind == Kind::Rendered {
        "rendered"
    } else {
        "thumbnail"
    };
    let tag = etag(&[
        &held.digest,
        &format!("f{index}"),
        name,
        &wish.key(),
        format.media_type(),
    ]);
    if is_current(&headers, &tag) {
        return Ok(not_modified(&tag, cache));
    }
    let body = match app.made().get(&tag) {
        Some(made) => made,
        None => match ready_made(&app, &of, &held, kind, &wish, format).await? {
            Some(ready) => {
                app.made().put(&tag, ready.clone(), ready.len());
                ready
            }
            None => make(&app, held, index, kind, wish, window, format, &tag).await?,
        },
    };
    Ok(ranged(&headers, format.media_type(), &tag, cache, body))
}

/// The thumbnail that the worker made of the same picture, where nothing special is asked for.
async fn ready_made(
    app: &App,
    of: &Of,
    held: &Held,
    kind: Kind,
    wish: &RenderWish,
    format: Format,
) -> Result<Option<Bytes>, Problem> {
    if kind != Kind::Thumbnail || format != Format::Jpeg || !wish.is_plain() {
        return Ok(None);
    }
    let derived = app.archive().derived();
    let found = match of {
        Of::Frame(..) => None,
        Of::Instance(..) if held.frames == 1 => derived.get(&held.sop_instance_uid, THUMBNAIL).await?,
        Of::Instance(..) => None,
        Of::Study(_) | Of::Series(..) => derived.get(&held.series_uid, THUMBNAIL).await?,
    };
    let fresh = found.filter(|found| found.info.made_at >= held.series_changed_at);
    Ok(fresh.map(|found| Bytes::from(found.content)))
}

fn format_for(headers: &HeaderMap) -> Result<Format, Problem> {
    let chosen = choose(headers, &FORMATS)
        .ok_or_else(|| Problem::not_acceptable("image/jpeg, image/png, image/webp"))?;
    Ok(match chosen.1 {
        "png" => Format::Png,
        "webp" => Format::WebP,
        _ => Format::Jpeg,
    })
}

/// The object and frame that stand for what was asked: of a series its middle picture, of a study the middle of its
/// first series of pictures. Those may change while a study arrives, so they are asked for again each time.
async fn subject(app: &App, of: &Of) -> Result<(Held, u64, &'static str), Problem> {
    match of {
        Of::Study(study) => {
            let held = holdings::representative(app, &uids::study(study)?, None).await?;
            let middle = held.frames.saturating_sub(1) / 2;
            Ok((held, middle, CACHE_PRIVATE_REVALIDATE))
        }
        Of::Series(study, series) => {
            let held =
                holdings::representative(app, &uids::study(study)?, Some(&uids::series(series)?)).await?;
            let middle = held.frames.saturating_sub(1) / 2;
            Ok((held, middle, CACHE_PRIVATE_REVALIDATE))
        }
        Of::Instance(study, series, instance) => {
            let held = holdings::instance(
                app,
                &uids::study(study)?,
                &uids::series(series)?,
                &uids::instance(instance)?,
            )
            .await?;
            Ok((held, 0, CACHE_PRIVATE_IMMUTABLE))
        }
        Of::Frame(study, series, instance, frame) => {
            let number = frame_list::parse(frame)?.first().copied().unwrap_or(1);
            let held = holdings::instance(
                app,
                &uids::study(study)?,
                &uids::series(series)?,
                &uids::instance(instance)?,
            )
            .await?;
            Ok((held, number - 1, CACHE_PRIVATE_IMMUTABLE))
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one picture; a struct would only be unpacked again"
)]
async fn make(
    app: &App,
    held: Held,
    index: u64,
    kind: Kind,
    wish: RenderWish,
    window: Option<Window>,
    format: Format,
    tag: &str,
) -> Result<Bytes, Problem> {
    let (pool, key) = (app.pool().clone(), tag.to_owned());
    let app = app.clone();
    pool.run(move || {
        let picture = draw(&app, &held, index, kind, &wish, window)?;
        let bytes = Bytes::from(encode(&picture, format, wish.quality).map_err(layout::problem)?);
        app.made().put(&key, bytes.clone(), bytes.len());
        Ok(bytes)
    })
    .await?
}

fn draw(
    app: &App,
    held: &Held,
    index: u64,
    kind: Kind,
    wish: &RenderWish,
    window: Option<Window>,
) -> Result<engine::pixel::Picture, Problem> {
    let layout = layout::open(app, held)?;
    let store = app.archive().store();
    let frame = &layout.image.frame;
    let (columns, rows) = (u32::from(frame.columns), u32::from(frame.rows));
    let size = wish.size_for(columns, rows);
    if kind == Kind::Thumbnail && window.is_none() {
        let side = size.map_or(THUMBNAIL_SIDE, |(width, height)| width.max(height));
        return layout.thumbnail(store, held, index, side);
    }
    let pixels = layout::decoded(app, held, &layout, index)?;
    let options = RenderOptions {
        frame: index,
        window,
        size,
        overlays: false,
    };
    render(&layout.image, &pixels, &options).map_err(layout::problem)
}
