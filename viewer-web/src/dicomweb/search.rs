//! QIDO-RS: studies, series and instances that match (PS3.18 section 10.6).
//!
//! Answers come from the index alone; no object is opened.

use super::json::Attributes;
use super::metadata::JSON_FORMS;
use super::search_query::{Include, LIMIT_MAX, SearchQuery};
use super::uids;
use crate::App;
use crate::extract::{Path, Query};
use crate::http::accept::choose;
use crate::problem::Problem;
use crate::session::Signed;
use archive::InstitutionId;
use archive::study::{
    InstanceFilter, InstanceItem, Scope, SeriesFilter, SeriesItem, Study, StudyFilter, StudyItem,
};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use dataset::matching::Match;
use dataset::{Tag, Vr, dictionary, tags};
use reading::Actor;
use reading::access::{Action, SearchScope, authorise, guard_query, may, search_scope};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;

type Pairs = Query<Vec<(String, String)>>;

pub(crate) async fn studies(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(pairs): Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wish = Wish::of(&pairs, &headers)?;
    let query = &wish.query;
    asked(&app, &actor, query, false).await?;
    let sight = Sight::of(&app, actor).await?;
    let mut hits = app
        .archive()
        .studies()
        .search(&study_filter(query), &sight.scope, query.limit, query.offset)
        .await?;
    let seen = sight.seen(hits.iter().map(|hit| &hit.study)).await?;
    hits.retain(|hit| seen.contains(&hit.study.study_uid));
    Ok(wish.answer(hits.iter().map(|hit| study_attributes(hit, &wish.query.include))))
}

/// Decides and audits one search. A study named in the path is decided by itself: who may not see it is refused, as
/// for every other resource below it, where an open search would just find nothing.
async fn asked(app: &App, actor: &Actor, query: &SearchQuery, named: bool) -> Result<(), Problem> {
    let study = query.wanted(tags::STUDY_INSTANCE_UID);
    if let Some(study) = study.filter(|_| named) {
        authorise(app.reading(), actor, Action::ViewImages, study).await?;
    }
    Ok(guard_query(app.reading(), actor, Action::SearchStudies, study).await?)
}

/// Series of all studies, or of the one in the path.
pub(crate) async fn series(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(below): Path<Below>,
    Query(pairs): Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut wish = Wish::of(&pairs, &headers)?;
    wish.fix(&below)?;
    let query = &wish.query;
    asked(&app, &actor, query, below.study.is_some()).await?;
    let sight = Sight::of(&app, actor).await?;
    let mut hits = app
        .archive()
        .studies()
        .series(&series_filter(query), &sight.scope, query.limit, query.offset)
        .await?;
    let seen = sight.seen(hits.iter().map(|hit| &hit.study)).await?;
    hits.retain(|hit| seen.contains(&hit.study.study_uid));
    Ok(wish.answer(hits.iter().map(|hit| series_attributes(hit, &wish.query.include))))
}

/// Instances of all studies, or of the study or series in the path.
pub(crate) async fn instances(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(below): Path<Below>,
    Query(pairs): Pairs,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut wish = Wish::of(&pairs, &headers)?;
    wish.fix(&below)?;
    let query = &wish.query;
    asked(&app, &actor, query, below.study.is_some()).await?;
    let sight = Sight::of(&app, actor).await?;
    let mut hits = app
        .archive()
        .studies()
        .instances(&instance_filter(query), &sight.scope, query.limit, query.offset)
        .await?;
    let seen = sight.seen(hits.iter().map(|hit| &hit.study)).await?;
    hits.retain(|hit| seen.contains(&hit.study.study_uid));
    Ok(wish.answer(
        hits.iter()
            .map(|hit| instance_attributes(hit, &wish.query.include)),
    ))
}

/// What the path of a search names.
#[derive(Debug, Deserialize)]
pub(crate) struct Below {
    study: Option<String>,
    series: Option<String>,
}

/// What the asker may find.
struct Sight {
    app: App,
    actor: Actor,
    institutions: HashSet<InstitutionId>,
    scope: Scope,
}

impl Sight {
    async fn of(app: &App, actor: Actor) -> Result<Self, Problem> {
        let SearchScope {
            institutions,
            treating,
        } = search_scope(app.reading(), &actor).await?;
        let scope = Scope::Of {
            institutions: institutions.clone(),
            treating,
        };
        Ok(Self {
            app: app.clone(),
            actor,
            institutions: institutions.into_iter().collect(),
            scope,
        })
    }

    /// Those of the studies that may be shown. Studies of institutions in sight are; one of a treated person is only
    /// once it is signed, which the policy knows.
    async fn seen<'s>(&self, studies: impl Iterator<Item = &'s Study>) -> Result<HashSet<String>, Problem> {
        let mut seen = HashSet::new();
        let mut asked = HashSet::new();
        for study in studies {
            if !asked.insert(&study.study_uid) {
                continue;
            }
            let in_sight = self.institutions.contains(&study.institution_id);
            if in_sight
                || may(
                    self.app.reading(),
                    &self.actor,
                    Action::ViewImages,
                    &study.study_uid,
                )
                .await?
            {
                seen.insert(study.study_uid.clone());
            }
        }
        Ok(seen)
    }
}

/// A search and the form of its answer.
struct Wish {
    query: SearchQuery,
    form: String,
}

impl Wish {
    fn of(pairs: &[(String, String)], headers: &HeaderMap) -> Result<Self, Problem> {
        let query = SearchQuery::parse(pairs)?;
        let (main, sub) = choose(headers, &JSON_FORMS)
            .ok_or_else(|| Problem::not_acceptable("application/dicom+json, application/json"))?;
        Ok(Self {
            query,
            form: format!("{main}/{sub}"),
        })
    }

    /// UIDs of the path stand before those of the query.
    fn fix(&mut self, below: &Below) -> Result<(), Problem> {
        let study = below.study.as_deref().map(uids::study).transpose()?;
        let series = below.series.as_deref().map(uids::series).transpose()?;
        let study = study.map(|uid| (tags::STUDY_INSTANCE_UID, uid.to_string()));
        let series = series.map(|uid| (tags::SERIES_INSTANCE_UID, uid.to_string()));
        for fixed in study.into_iter().chain(series) {
            self.query.matches.retain(|(tag, _)| *tag != fixed.0);
            self.query.matches.push(fixed);
        }
        Ok(())
    }

    fn answer(&self, items: impl Iterator<Item = Attributes>) -> Response {
        let items: Vec<Value> = items.map(Attributes::into_value).collect();
        let is_cut = items.len() as u32 >= LIMIT_MAX;
        let mut response = Value::Array(items).to_string().into_response();
        let headers = response.headers_mut();
        if let Ok(form) = HeaderValue::from_str(&self.form) {
            headers.insert(header::CONTENT_TYPE, form);
        }
        if is_cut {
            let text = "299 gongying \"The number of results exceeded the maximum supported by the server. Additional results can be requested.\"";
            headers.insert(header::WARNING, HeaderValue::from_static(text));
        }
        response
    }
}

fn matched(query: &SearchQuery, tag: Tag) -> Match {
    let vr = dictionary::vr_of(tag).unwrap_or(Vr::LO);
    query
        .wanted(tag)
        .map_or(Match::Universal, |text| Match::parse(vr, text))
}

fn study_filter(query: &SearchQuery) -> StudyFilter {
    StudyFilter {
        study_uid: matched(query, tags::STUDY_INSTANCE_UID),
        patient_id: matched(query, tags::PATIENT_ID),
        patient_name: matched(query, tags::PATIENT_NAME),
        fuzzy_names: query.fuzzy,
        birth_date: matched(query, tags::PATIENT_BIRTH_DATE),
        sex: matched(query, tags::PATIENT_SEX),
        accession_number: matched(query, tags::ACCESSION_NUMBER),
        study_id: matched(query, tags::STUDY_ID),
        study_date: matched(query, tags::STUDY_DATE),
        study_time: matched(query, tags::STUDY_TIME),
        description: matched(query, tags::STUDY_DESCRIPTION),
        referring_physician: matched(query, tags::REFERRING_PHYSICIAN_NAME),
        issuer: matched(query, tags::ISSUER_OF_PATIENT_ID),
        modality: matched(query, tags::MODALITIES_IN_STUDY),
        person_id: None,
    }
}

fn series_filter(query: &SearchQuery) -> SeriesFilter {
    SeriesFilter {
        series_uid: matched(query, tags::SERIES_INSTANCE_UID),
        modality: matched(query, tags::MODALITY),
        number: matched(query, tags::SERIES_NUMBER),
        description: matched(query, tags::SERIES_DESCRIPTION),
        body_part: matched(query, tags::BODY_PART_EXAMINED),
        series_date: matched(query, tags::SERIES_DATE),
        series_time: matched(query, tags::SERIES_TIME),
        study: study_filter(query),
    }
}

fn instance_filter(query: &SearchQuery) -> InstanceFilter {
    InstanceFilter {
        sop_instance_uid: matched(query, tags::SOP_INSTANCE_UID),
        sop_class_uid: matched(query, tags::SOP_CLASS_UID),
        number: matched(query, tags::INSTANCE_NUMBER),
        series: series_filter(query),
    }
}

fn study_attributes(hit: &StudyItem, include: &Include) -> Attributes {
    let (study, patient) = (&hit.study, &hit.patient);
    let mut a = Attributes::default();
    a.text(tags::SPECIFIC_CHARACTER_SET, Some("ISO_IR 192"));
    a.text(tags::STUDY_DATE, study.study_date.as_deref());
    a.text(tags::STUDY_TIME, study.study_time.as_deref());
    a.text(tags::ACCESSION_NUMBER, study.accession_number.as_deref());
    a.text(tags::INSTANCE_AVAILABILITY, Some("ONLINE"));
    a.texts(
        tags::MODALITIES_IN_STUDY,
        study.modalities.iter().map(String::as_str),
    );
    a.name(
        tags::REFERRING_PHYSICIAN_NAME,
        study.referring_physician.as_deref(),
    );
    a.text(
        tags::RETRIEVE_URL,
        Some(&format!("/dicomweb/studies/{}", study.study_uid)),
    );
    let name = [
        &patient.name_alphabetic,
        &patient.name_ideographic,
        &patient.name_phonetic,
    ]
    .map(String::as_str);
    a.name(tags::PATIENT_NAME, Some(&name.join("=")));
    a.text(tags::PATIENT_ID, Some(&patient.identifier));
    a.text(tags::PATIENT_BIRTH_DATE, patient.birth_date.as_deref());
    a.text(tags::PATIENT_SEX, patient.sex.as_deref());
    a.text(tags::STUDY_INSTANCE_UID, Some(&study.study_uid));
    a.text(tags::STUDY_ID, study.study_id_text.as_deref());
    a.number(tags::NUMBER_OF_STUDY_RELATED_SERIES, Some(study.series_count));
    a.number(
        tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
        Some(study.instance_count),
    );
    if include.wants(tags::STUDY_DESCRIPTION) || study.description.is_some() {
        a.text(tags::STUDY_DESCRIPTION, study.description.as_deref());
    }
    if include.wants(tags::ISSUER_OF_PATIENT_ID) {
        a.text(tags::ISSUER_OF_PATIENT_ID, Some(&patient.issuer));
    }
    a
}

fn series_attributes(hit: &SeriesItem, include: &Include) -> Attributes {
    let (study_uid, series) = (&hit.study.study_uid, &hit.series);
    let mut a = Attributes::default();
    a.text(tags::SPECIFIC_CHARACTER_SET, Some("ISO_IR 192"));
    a.text(tags::MODALITY, Some(&series.modality));
    a.text(
        tags::RETRIEVE_URL,
        Some(&format!(
            "/dicomweb/studies/{study_uid}/series/{}",
            series.series_uid
        )),
    );
    a.text(tags::STUDY_INSTANCE_UID, Some(study_uid));
    a.text(tags::SERIES_INSTANCE_UID, Some(&series.series_uid));
    a.number(tags::SERIES_NUMBER, series.number);
    a.number(
        tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
        Some(series.instance_count),
    );
    let further: [(Tag, Option<&str>); 8] = [
        (tags::SERIES_DESCRIPTION, series.description.as_deref()),
        (tags::SERIES_DATE, series.series_date.as_deref()),
        (tags::SERIES_TIME, series.series_time.as_deref()),
        (tags::BODY_PART_EXAMINED, series.body_part.as_deref()),
        (tags::LATERALITY, series.laterality.as_deref()),
        (tags::PROTOCOL_NAME, series.protocol_name.as_deref()),
        (tags::STATION_NAME, series.station_name.as_deref()),
        (tags::MANUFACTURER, series.manufacturer.as_deref()),
    ];
    for (tag, text) in further {
        if include.wants(tag) || text.is_some() {
            a.text(tag, text);
        }
    }
    a
}

fn instance_attributes(hit: &InstanceItem, include: &Include) -> Attributes {
    let (study_uid, series_uid, instance) = (&hit.study.study_uid, &hit.series.series_uid, &hit.instance);
    let mut a = Attributes::default();
    let url = format!(
        "/dicomweb/studies/{study_uid}/series/{series_uid}/instances/{}",
        instance.sop_instance_uid
    );
    a.text(tags::SOP_CLASS_UID, Some(&instance.sop_class_uid));
    a.text(tags::SOP_INSTANCE_UID, Some(&instance.sop_instance_uid));
    a.text(tags::INSTANCE_AVAILABILITY, Some("ONLINE"));
    a.text(tags::RETRIEVE_URL, Some(&url));
    a.text(tags::STUDY_INSTANCE_UID, Some(study_uid));
    a.text(tags::SERIES_INSTANCE_UID, Some(series_uid));
    a.number(tags::INSTANCE_NUMBER, instance.number);
    a.text(
        tags::AVAILABLE_TRANSFER_SYNTAX_UID,
        Some(&instance.transfer_syntax_uid),
    );
    if instance.rows.is_some() {
        a.number(tags::NUMBER_OF_FRAMES, Some(instance.frames));
    }
    for (tag, number) in [
        (tags::ROWS, instance.rows),
        (tags::COLUMNS, instance.columns),
        (tags::BITS_ALLOCATED, instance.bits_allocated),
    ] {
        if include.wants(tag) || number.is_some() {
            a.number(tag, number);
        }
    }
    a
}
