//! The configuration of a node: one TOML file, overridden by `GONGYING_*` environment variables
//! (`GONGYING_ARCHIVE__INDEX=...` sets `[archive] index`). `config.example.toml` documents every key.

use anyhow::{Context, Result, bail};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

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
    pub(crate) worker: WorkerConfig,
    pub(crate) edge: EdgeSection,
    pub(crate) log: Log,
}

/// `[dicom]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Dicom {
    pub(crate) listen: SocketAddr,
    pub(crate) ae_title: String,
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

/// `[archive]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ArchiveConfig {
    pub(crate) index: String,
    pub(crate) objects: String,
    /// Keys, the anchor of the audit chain and the spool.
    pub(crate) data_dir: PathBuf,
}

/// `[worker]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WorkerConfig {
    /// Jobs at once; 0 = one per processor core.
    pub(crate) slots: usize,
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
            worker: WorkerConfig::default(),
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
        let config: Config = figment.merge(environment).extract().context("configuration")?;
        config.check()
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
        };
        config.log.filter = "warn".into();
        config
    }

    fn check(self) -> Result<Config> {
        if self.roles.is_empty() {
            bail!("roles is empty: name at least one of gateway, viewer, worker");
        }
        let ae = self.dicom.ae_title.trim();
        if ae.is_empty() || ae.len() > 16 || ae.contains('\\') {
            bail!("[dicom] ae_title = {ae:?}: an AE title has 1 to 16 characters and no backslash");
        }
        if self.http.tls_cert.is_some() != self.http.tls_key.is_some() {
            bail!("[http] tls_cert and tls_key belong together: set both or none");
        }
        self.objects_folder()?;
        Ok(self)
    }

    /// Where the archive lives.
    pub(crate) fn place(&self) -> Result<archive::Config> {
        let index = self.archive.index.parse().context("[archive] index")?;
        Ok(archive::Config {
            index,
            objects: self.objects_folder()?,
            data_dir: self.archive.data_dir.clone(),
            store: archive::store::Settings::default(),
        })
    }

    /// The folder of the object store.
    fn objects_folder(&self) -> Result<PathBuf> {
        match self.archive.objects.strip_prefix("file:") {
            Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
            _ => bail!("[archive] objects = {:?}: write file:PATH", self.archive.objects),
        }
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
            ("[http]\ntls_cert = \"a.pem\"", "belong together"),
            ("[dicom]\nport = 3", "port"),
        ] {
            let message = format!("{:#}", load(text).unwrap_err());
            assert!(message.contains(words), "{text}: {message}");
        }
    }
}
