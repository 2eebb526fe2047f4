//! The configuration of a node: one TOML file, overridden by `GONGYING_*` environment variables
//! (`GONGYING_ARCHIVE__INDEX=...` sets `[archive] index`). `config.example.toml` documents every key.

use crate::forwarding::{DestinationConfig, Forward, RoutesFile};
use anyhow::{Context, Result, bail};
use dicom_gateway::forward::Route;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

mod storage;

/// What a node does; all of them by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Receives and answers DICOM.
    Gateway,
    /// Serves the pages, the API and DICOMweb.
    Viewer,
    /// Computes thumbnails, series metadata and ECG analyses.
    Worker,
}

/// A whole configuration file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) roles: Vec<Role>,
    pub(crate) dicom: Dicom,
    pub(crate) http: Http,
    pub(crate) archive: ArchiveConfig,
    pub(crate) s3: storage::S3,
    pub(crate) tier: storage::Tier,
    pub(crate) encryption: storage::Encryption,
    pub(crate) worker: WorkerConfig,
    pub(crate) forward: Forward,
    pub(crate) destination: Vec<DestinationConfig>,
    pub(crate) route: Vec<Route>,
    pub(crate) edge: EdgeSection,
    pub(crate) log: Log,
}

/// `[dicom]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Dicom {
    pub(crate) listen: SocketAddr,
    pub(crate) ae_title: String,
    /// Second port, for DICOM over TLS.
    pub(crate) tls_listen: Option<SocketAddr>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) tls_client_ca: Option<PathBuf>,
    pub(crate) tls_client_auth: Option<ClientAuth>,
}

/// Whether devices prove themselves by a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuth {
    /// None is asked for.
    Off,
    /// Those who have one present it.
    Optional,
    /// Nobody gets in without one that an authority of ours signed.
    Required,
}

impl Dicom {
    /// As set; else required when there is an authority to check with, and optional otherwise.
    pub(crate) fn client_auth(&self) -> ClientAuth {
        let usual = if self.tls_client_ca.is_some() {
            ClientAuth::Required
        } else {
            ClientAuth::Optional
        };
        self.tls_client_auth.unwrap_or(usual)
    }

    fn check(&self) -> Result<()> {
        let ae = self.ae_title.trim();
        if ae.is_empty() || ae.len() > 16 || ae.contains('\\') {
            bail!("[dicom] ae_title = {ae:?}: an AE title has 1 to 16 characters and no backslash");
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            bail!("[dicom] tls_cert and tls_key belong together: set both or none");
        }
        if self.client_auth() == ClientAuth::Required && self.tls_client_ca.is_none() {
            bail!(
                "[dicom] tls_client_auth = \"required\" needs tls_client_ca: the authorities that sign the certificates of devices"
            );
        }
        let has_tls =
            self.tls_cert.is_some() || self.tls_client_ca.is_some() || self.tls_client_auth.is_some();
        if has_tls && self.tls_listen.is_none() {
            bail!(
                "[dicom] tls_listen is missing: name the address of the TLS port, for example \"0.0.0.0:2762\""
            );
        }
        Ok(())
    }
}

/// `[http]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    /// Origin that links in reports carry, e.g. `https://imaging.example.org`; the listening address when missing.
    pub(crate) public_url: Option<String>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    /// Token that `/metrics` wants from anywhere but this machine.
    pub(crate) metrics_token: Option<String>,
}

/// Room for the objects of several seconds over the fastest line, little beside a county's disk.
const JOURNAL_MIB: u32 = 512;

/// `[archive]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ArchiveConfig {
    pub(crate) index: String,
    pub(crate) objects: String,
    /// Keys, the anchor of the audit chain, the journal of arriving objects.
    pub(crate) data_dir: PathBuf,
    /// Days in which every object is read and hashed again; 0 = never.
    pub(crate) scrub_days: u32,
    /// Size of that journal in MiB; 0: none.
    pub(crate) journal_mib: u32,
}

/// `[worker]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WorkerConfig {
    /// Jobs at once; 0 = one per processor core.
    pub(crate) slots: usize,
    /// Rules by which an ECG is critical: the name of a set that is built in, or a file.
    pub(crate) critical_rules: Option<String>,
}

/// `[edge]`: read by `gongying edge` alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EdgeSection {
    /// `https://HOST[:PORT]` of the centre.
    pub(crate) centre_url: Option<String>,
    /// Authority that issued the centre's certificate, when it is not one of the public web.
    pub(crate) centre_ca: Option<PathBuf>,
    pub(crate) enrolment_token: Option<String>,
    pub(crate) spool_dir: PathBuf,
    /// `[dicom] listen` when missing.
    pub(crate) dicom_listen: Option<SocketAddr>,
    pub(crate) watch_dir: Option<PathBuf>,
    /// 0 is unlimited.
    pub(crate) bandwidth_kbps: u64,
    pub(crate) spool_max_gb: u64,
    /// How long objects stay here after the centre has them.
    pub(crate) keep_hours: u64,
    /// Opens the PDFs of reports from other machines.
    pub(crate) page_password: Option<String>,
    pub(crate) schedule: Vec<ScheduleLine>,
}

/// `[[edge.schedule]]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleLine {
    /// `mon` ... `sun`; every day when missing.
    #[serde(default)]
    pub(crate) days: Vec<String>,
    /// `HH:MM` in China.
    pub(crate) from: String,
    /// `HH:MM`; before `from` it is of the next day.
    pub(crate) to: String,
    /// 0 is unlimited.
    pub(crate) kbps: u64,
}

/// `[log]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) filter: String,
    pub(crate) json: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            roles: vec![Role::Gateway, Role::Viewer, Role::Worker],
            dicom: Dicom::default(),
            http: Http::default(),
            archive: ArchiveConfig::default(),
            s3: storage::S3::default(),
            tier: storage::Tier::default(),
            encryption: storage::Encryption::default(),
            worker: WorkerConfig::default(),
            forward: Forward::default(),
            destination: Vec::new(),
            route: Vec::new(),
            edge: EdgeSection::default(),
            log: Log::default(),
        }
    }
}

impl Default for Dicom {
    fn default() -> Self {
        Dicom {
            listen: SocketAddr::from(([0, 0, 0, 0], 11112)),
            ae_title: "GONGYING".into(),
            tls_listen: None,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            tls_client_auth: None,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Http {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            tls_cert: None,
            tls_key: None,
            metrics_token: None,
        }
    }
}

impl Default for ArchiveConfig {
    fn default() -> Self {
        ArchiveConfig {
            index: "sqlite:data/index.sqlite".into(),
            objects: "file:data/objects".into(),
            data_dir: PathBuf::from("data/state"),
            scrub_days: 30,
            journal_mib: JOURNAL_MIB,
        }
    }
}

impl Default for EdgeSection {
    fn default() -> Self {
        EdgeSection {
            centre_url: None,
            centre_ca: None,
            enrolment_token: None,
            spool_dir: PathBuf::from("data/spool"),
            dicom_listen: None,
            watch_dir: None,
            bandwidth_kbps: 0,
            spool_max_gb: 100,
            keep_hours: 72,
            page_password: None,
            schedule: Vec::new(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log {
            filter: "info".into(),
            json: false,
        }
    }
}

impl Config {
    /// Reads `path` (when given) and the environment over the defaults.
    pub(crate) fn load(path: Option<&Path>) -> Result<Config> {
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        if let Some(path) = path {
            if !path.is_file() {
                bail!(
                    "{}: no such configuration file; start from config.example.toml",
                    path.display()
                );
            }
            figment = figment.merge(Toml::file_exact(path));
        }
        let environment =
            Env::prefixed("GONGYING_")
                .split("__")
                .ignore(&["demo_password", "gpu", "test_data"]);
        let mut config: Config = figment.merge(environment).extract().context("configuration")?;
        config.load_routes()?;
        config.check()
    }

    /// Adds the destinations and rules of the file that `[forward] routes` names.
    fn load_routes(&mut self) -> Result<()> {
        let Some(path) = &self.forward.routes else {
            return Ok(());
        };
        if !path.is_file() {
            bail!("[forward] routes = {}: no such file", path.display());
        }
        let file: RoutesFile = Figment::from(Toml::file_exact(path))
            .extract()
            .with_context(|| format!("[forward] routes {}", path.display()))?;
        self.destination.extend(file.destination);
        self.route.extend(file.route);
        Ok(())
    }

    /// The configuration of the demonstration: everything under one folder.
    pub(crate) fn demo(data: &Path, http: SocketAddr, dicom: SocketAddr) -> Config {
        let mut config = Config::default();
        config.dicom.listen = dicom;
        config.http.listen = http;
        config.archive = ArchiveConfig {
            index: format!("sqlite:{}", data.join("index.sqlite").display()),
            objects: format!("file:{}", data.join("objects").display()),
            data_dir: data.join("state"),
            ..ArchiveConfig::default()
        };
        config.log.filter = "warn".into();
        config
    }

    fn check(self) -> Result<Config> {
        if self.roles.is_empty() {
            bail!("roles is empty: name at least one of gateway, viewer, worker");
        }
        self.dicom.check()?;
        if self.http.tls_cert.is_some() != self.http.tls_key.is_some() {
            bail!("[http] tls_cert and tls_key belong together: set both or none");
        }
        self.place()?;
        Ok(self)
    }

    /// Where the archive lives.
    pub(crate) fn place(&self) -> Result<archive::Config> {
        let index = self.archive.index.parse().context("[archive] index")?;
        Ok(archive::Config {
            index,
            objects: storage::folder(self)?,
            data_dir: self.archive.data_dir.clone(),
            store: storage::settings(self)?,
        })
    }

    /// Whether this node has a role.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(Some(&path))
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        let config = load("").unwrap();
        assert_eq!(config.dicom.ae_title, "GONGYING");
        assert!(config.has(Role::Gateway) && config.has(Role::Viewer) && config.has(Role::Worker));
    }

    #[test]
    fn the_example_is_valid_and_shows_the_defaults() {
        let example =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml")).unwrap();
        let config = load(&example).unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("roles = []", "roles is empty"),
            (
                "[dicom]\nae_title = \"A_TITLE_THAT_IS_TOO_LONG\"",
                "1 to 16 characters",
            ),
            ("[dicom]\nlisten = \"nowhere\"", "listen"),
            ("[archive]\nobjects = \"/tmp/x\"", "file:PATH"),
            ("[archive]\nobjects = \"s3://bucket\"", "[s3] access_key"),
            ("[tier]\ns3 = \"s3://b\"\nafter_days = 1", "s3://BUCKET"),
            ("[tier]\ns3 = \"s3://bucket\"", "after_days or keep_local_gb"),
            ("[encryption]\ncipher = \"sm4-gcm\"", "key_file"),
            (
                "[encryption]\ncipher = \"rot13\"\nkey_file = \"k\"",
                "aes-256-gcm",
            ),
            (
                "[encryption]\nkey_file = \"k\"\nkey_command = \"c\"",
                "one of them",
            ),
            ("[http]\ntls_cert = \"a.pem\"", "belong together"),
            ("[dicom]\nport = 3", "port"),
            ("[dicom]\ntls_cert = \"a.pem\"", "belong together"),
            ("[dicom]\ntls_client_auth = \"required\"", "tls_client_ca"),
            ("[dicom]\ntls_client_ca = \"ca.pem\"", "tls_listen"),
        ] {
            let message = format!("{:#}", load(text).unwrap_err());
            assert!(message.contains(words), "{text}: {message}");
        }
    }
}
