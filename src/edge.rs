//! Wires a township node together: the gateway over the spool, the way to the centre, the status page.

use crate::config::{Config, EdgeSection, ScheduleLine};
use crate::output;
use crate::parcel::Packer;
use anyhow::{Context, Result, bail};
use archive::Archive;
use archive::UnixMicros;
use archive::db::IndexUrl;
use archive::edge::status::{GateWord, NodeStatus};
use archive::order::Order;
use archive::patient::Patient;
use dataset::AeTitle;
use dicom_gateway::Port;
use dicom_gateway::edge::{Edge, EdgeConfig, Gate, Importer, Schedule, ScheduleRule};
use engine::ecg::quality::acquisition::{self, Verdict};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::borrow::Cow;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use viewer_web::recording::{self, File, Filing};
use viewer_web::township::{Township, TownshipAccess};

/// A node that was never let in tries for so long before its ports open.
const ENROL_WAIT: Duration = Duration::from_secs(8);
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// ECG recordings of the watched folder.
struct Recordings;

impl Importer for Recordings {
    fn import(
        &self,
        name: &str,
        file: &[u8],
        request: Option<&(Order, Patient)>,
    ) -> Option<Result<Vec<u8>, String>> {
        let file = File {
            name: name.to_owned(),
            bytes: file.to_vec(),
        };
        if !recording::is_recording(&file) {
            return None;
        }
        let filing = request.map(|(order, patient)| Filing::of(order, patient.clone()));
        let made = recording::make(&file, &[], filing.as_ref());
        Some(
            made.map(|made| made.object)
                .map_err(|refusal| refusal.to_string()),
        )
    }
}

/// The gate at the acquisition, as the centre's machine reading has it.
struct Acquisition;

impl Gate for Acquisition {
    fn look(&self, file: &[u8]) -> Option<GateWord> {
        let read = dataset::file::read(file, dataset::Limits::in_memory()).ok()?;
        let set = &read.parsed.data_set;
        let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
        let record = engine::ecg::formats::dicom::read(&lookup).ok()?;
        let found = acquisition::check(&record);
        let verdict = match found.verdict {
            Verdict::Ok => "ok",
            Verdict::RepeatAdvised => "repeat_advised",
            Verdict::Unusable => "unusable",
        };
        // Remarks are no reason to take it again.
        let reasons = found
            .reasons
            .into_iter()
            .filter(|reason| reason.verdict != Verdict::Ok);
        let now = UnixMicros::now();
        Some(GateWord {
            verdict: verdict.to_owned(),
            reasons: reasons.map(|reason| (reason.text_zh, reason.text_en)).collect(),
            received_at: now,
            looked_at: now,
            sender: String::new(),
            accession_number: None,
        })
    }
}

/// Runs the node until it is told to stop.
pub(crate) async fn run(config: Config) -> Result<()> {
    let section = &config.edge;
    let archive = open(section).await?;
    let metrics = PrometheusBuilder::new().install_recorder().context("metrics")?;
    let edge = Edge::open(archive.clone(), settings(section)?).await?;
    let dicom = listen(
        section.dicom_listen.unwrap_or(config.dicom.listen),
        "[edge] dicom_listen",
    )
    .await?;
    let http = listen(config.http.listen, "[http] listen").await?;
    let (dicom_address, http_address) = (dicom.local_addr()?, http.local_addr()?);
    edge.enrol(ENROL_WAIT).await;
    let stop = CancellationToken::new();
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    spawn_gateway(&mut tasks, dicom, &config, &archive, &stop)?;
    spawn_pages(&mut tasks, http, &config, &edge, metrics, &stop)?;
    let (node, token) = (edge.clone(), stop.clone());
    tasks.spawn(async move {
        node.run(token).await;
        Ok(())
    });
    let (house, token) = (archive.clone(), stop.clone());
    tasks.spawn(async move {
        house.housekeeping(token.cancelled_owned()).await;
        Ok(())
    });
    output::line(&format!("READY http={http_address} dicom={dicom_address}"))?;
    let outcome = crate::node::until_stopped(&mut tasks, &stop).await;
    archive.close().await?;
    outcome
}

/// Everything of the node stands below one folder.
async fn open(section: &EdgeSection) -> Result<Archive> {
    let folder = &section.spool_dir;
    std::fs::create_dir_all(folder).with_context(|| {
        format!(
            "[edge] spool_dir = {}: the folder cannot be made",
            folder.display()
        )
    })?;
    let place = archive::Config {
        index: IndexUrl::Sqlite(folder.join("index.sqlite")),
        objects: folder.join("objects"),
        data_dir: folder.join("state"),
        store: archive::store::Settings::default(),
    };
    let bytes_max = section.spool_max_gb.saturating_mul(1_000_000_000);
    Archive::open_spool(place, bytes_max)
        .await
        .with_context(|| format!("[edge] spool_dir = {}", folder.display()))
}

fn settings(section: &EdgeSection) -> Result<EdgeConfig> {
    let Some(centre_url) = section.centre_url.clone() else {
        bail!("[edge] centre_url is missing: write centre_url = \"https://HOST\" of the centre");
    };
    let limit = |kbps: u64| (kbps > 0).then_some(kbps);
    Ok(EdgeConfig {
        centre_url,
        centre_ca: section.centre_ca.clone(),
        enrolment_token: section
            .enrolment_token
            .clone()
            .filter(|token| !token.trim().is_empty()),
        schedule: Schedule {
            kbps: limit(section.bandwidth_kbps),
            rules: section
                .schedule
                .iter()
                .map(|line| rule(line, limit(line.kbps)))
                .collect::<Result<_>>()?,
        },
        watch_dir: section.watch_dir.clone(),
        reports_dir: section.spool_dir.join("reports"),
        kept: Duration::from_secs(section.keep_hours.saturating_mul(3600)),
        coder: Arc::new(Packer),
        importer: Arc::new(Recordings),
        gate: Arc::new(Acquisition),
        version: env!("CARGO_PKG_VERSION").to_string(),
    })
}

fn rule(line: &ScheduleLine, kbps: Option<u64>) -> Result<ScheduleRule> {
    let mut days = [line.days.is_empty(); 7];
    for word in &line.days {
        let place = DAYS.iter().position(|day| day == word);
        let day = place.and_then(|place| days.get_mut(place));
        *day.with_context(|| format!("[[edge.schedule]] days: {word:?} is none of {}", DAYS.join(", ")))? =
            true;
    }
    Ok(ScheduleRule {
        days,
        from_minute: minute("from", &line.from)?,
        to_minute: minute("to", &line.to)?,
        kbps,
    })
}

fn minute(key: &str, text: &str) -> Result<u16> {
    let read = |text: &str| -> Option<u16> {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        let end_of_day = hour == 24 && minute == 0;
        (end_of_day || hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    read(text).with_context(|| format!("[[edge.schedule]] {key} = {text:?}: write HH:MM"))
}

fn spawn_gateway(
    tasks: &mut JoinSet<Result<()>>,
    listener: TcpListener,
    config: &Config,
    archive: &Archive,
    stop: &CancellationToken,
) -> Result<()> {
    let ae_title = AeTitle::parse(&config.dicom.ae_title).context("[dicom] ae_title")?;
    let settings = dicom_gateway::Config::new(ae_title);
    let (archive, stop) = (archive.clone(), stop.clone());
    tasks.spawn(async move {
        let ports = vec![Port { listener, tls: None }];
        dicom_gateway::serve(ports, archive, settings, stop)
            .await
            .context("DICOM service")
    });
    Ok(())
}

fn spawn_pages(
    tasks: &mut JoinSet<Result<()>>,
    listener: TcpListener,
    config: &Config,
    edge: &Edge,
    metrics: PrometheusHandle,
    stop: &CancellationToken,
) -> Result<()> {
    let http = &config.http;
    let tls = match (&http.tls_cert, &http.tls_key) {
        (Some(certificate), Some(key)) => Some(crate::tls::server(certificate, key)?),
        _ => None,
    };
    let access = TownshipAccess {
        metrics_token: http.metrics_token.clone(),
        page_password: config.edge.page_password.clone(),
    };
    let pages = Pages {
        edge: edge.clone(),
        metrics,
    };
    let router = viewer_web::township::router(Arc::new(pages), access);
    let stop = stop.clone();
    tasks.spawn(async move {
        viewer_web::serve(listener, tls, router, stop.cancelled_owned())
            .await
            .context("web service")
    });
    Ok(())
}

async fn listen(address: SocketAddr, key: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{key} = {address}: the port cannot be opened"))
}

struct Pages {
    edge: Edge,
    metrics: PrometheusHandle,
}

impl Township for Pages {
    fn status(&self) -> Pin<Box<dyn Future<Output = Option<NodeStatus>> + Send + '_>> {
        Box::pin(async move { self.edge.status().await.ok() })
    }

    fn report(
        &self,
        study_uid: String,
        version: i64,
    ) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + '_>> {
        Box::pin(async move { self.edge.report(&study_uid, version).await })
    }

    fn is_ready(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(self.edge.is_ready())
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read_and_what_is_wrong_is_named() {
        let line = |days: &[&str], from: &str, to: &str| ScheduleLine {
            days: days.iter().map(ToString::to_string).collect(),
            from: from.into(),
            to: to.into(),
            kbps: 100,
        };
        let read = rule(&line(&["mon", "sun"], "08:30", "24:00"), Some(100)).unwrap();
        assert_eq!(read.days, [true, false, false, false, false, false, true]);
        assert_eq!((read.from_minute, read.to_minute), (510, 1440));
        assert_eq!(rule(&line(&[], "0:00", "1:00"), None).unwrap().days, [true; 7]);
        for (bad, words) in [
            (line(&["Monday"], "08:00", "09:00"), "Monday"),
            (line(&[], "8", "09:00"), "HH:MM"),
            (line(&[], "08:00", "25:00"), "25:00"),
        ] {
            let message = format!("{:#}", rule(&bad, None).unwrap_err());
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn a_node_without_a_centre_says_so() {
        let error = settings(&EdgeSection::default()).err().unwrap();
        assert!(error.to_string().contains("centre_url"), "{error}");
    }
}
