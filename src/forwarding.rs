//! Destinations and rules of the configuration, as the gateway wants them.

use crate::config::Config;
use anyhow::{Context, Result, bail};
use archive::Archive;
use archive::route::Router;
use dataset::AeTitle;
use dicom_gateway::forward::{
    ASSOCIATIONS_DEFAULT, Endpoint, Forwarding, Limits, Route, RouteTable, TIMEOUT_DEFAULT, Zone,
};
use dicom_gateway::scu::Destination;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `[forward]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Forward {
    /// A file with further destinations and rules.
    pub(crate) routes: Option<PathBuf>,
    /// In which days and hours of rules count.
    pub(crate) time_zone: String,
    /// Attempts of one letter at a destination that answers.
    pub(crate) attempts: u32,
    /// Hours after which a letter is given up whose destination cannot be reached.
    pub(crate) give_up_after_h: u32,
}

impl Default for Forward {
    fn default() -> Self {
        Forward {
            routes: None,
            time_zone: "Asia/Shanghai".into(),
            attempts: 12,
            give_up_after_h: 168,
        }
    }
}

/// `[[destination]]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestinationConfig {
    /// Name in rules.
    pub(crate) name: String,
    /// `HOST:PORT`.
    pub(crate) address: String,
    /// AE title there.
    pub(crate) ae_title: String,
    /// AE title here; that of the node when missing.
    #[serde(default)]
    pub(crate) calling_ae: Option<String>,
    #[serde(default)]
    pub(crate) associations: Option<usize>,
    #[serde(default)]
    pub(crate) timeout_s: Option<u64>,
    /// PEM file of the authorities to trust; with it the association is under TLS.
    #[serde(default)]
    pub(crate) tls_ca: Option<PathBuf>,
    #[serde(default)]
    pub(crate) tls_cert: Option<PathBuf>,
    #[serde(default)]
    pub(crate) tls_key: Option<PathBuf>,
    /// Name in the certificate there; the host of `address` when missing.
    #[serde(default)]
    pub(crate) tls_name: Option<String>,
}

/// A file of destinations and rules.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RoutesFile {
    pub(crate) destination: Vec<DestinationConfig>,
    pub(crate) route: Vec<Route>,
}

/// Checked destinations and rules.
pub(crate) struct Rules {
    pub(crate) table: Arc<RouteTable>,
    endpoints: Vec<Endpoint>,
    calling: AeTitle,
    limits: Limits,
}

impl DestinationConfig {
    fn endpoint(&self, calling: &AeTitle) -> Result<Endpoint> {
        let named = || format!("[[destination]] {:?}", self.name);
        let title =
            |text: &str| AeTitle::parse(text).with_context(|| format!("{}: AE title {text:?}", named()));
        if self.name.trim().is_empty() {
            bail!("[[destination]] {}: give it a name", self.address);
        }
        let own = self.calling_ae.as_deref().map(title).transpose()?;
        let calling = own.unwrap_or_else(|| calling.clone());
        let Some(mut to) = Destination::parse(&self.address, title(&self.ae_title)?, calling) else {
            bail!("{}: address = {:?}: write HOST:PORT", named(), self.address);
        };
        let associations = self.associations.unwrap_or(ASSOCIATIONS_DEFAULT);
        if !(1..=16).contains(&associations) {
            bail!("{}: associations = {associations}: use 1 to 16", named());
        }
        let timeout = self.timeout_s.map_or(TIMEOUT_DEFAULT, Duration::from_secs);
        if !(1..=3600).contains(&timeout.as_secs()) {
            bail!("{}: timeout_s = {}: use 1 to 3600", named(), timeout.as_secs());
        }
        let own = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
            (None, None) => None,
            _ => bail!("{}: tls_cert and tls_key belong together", named()),
        };
        match &self.tls_ca {
            Some(authority) => {
                let tls = crate::tls_client::client(authority, own, self.tls_name.clone());
                to.tls = Some(tls.with_context(named)?);
            }
            None if own.is_some() || self.tls_name.is_some() => {
                bail!("{}: TLS needs tls_ca, the certificates to trust", named())
            }
            None => {}
        }
        Ok(Endpoint {
            name: self.name.clone(),
            to,
            associations,
            timeout,
        })
    }
}

impl Rules {
    /// Checks everything that needs no index.
    pub(crate) fn new(config: &Config) -> Result<Rules> {
        let calling = AeTitle::parse(config.dicom.ae_title.trim()).context("[dicom] ae_title")?;
        let mut endpoints: Vec<Endpoint> = Vec::new();
        for destination in &config.destination {
            if endpoints.iter().any(|known| known.name == destination.name) {
                bail!(
                    "[[destination]] {:?}: another one has this name",
                    destination.name
                );
            }
            endpoints.push(destination.endpoint(&calling)?);
        }
        let zone: Zone = config
            .forward
            .time_zone
            .parse()
            .map_err(|why| anyhow::anyhow!("[forward] time_zone = {why}"))?;
        if config.forward.attempts == 0 {
            bail!("[forward] attempts = 0: use at least 1");
        }
        let titles = endpoints
            .iter()
            .map(|endpoint| (endpoint.name.clone(), endpoint.to.called.as_str().to_owned()))
            .collect();
        let table = RouteTable::new(config.route.clone(), titles, zone).context("[[route]]")?;
        Ok(Rules {
            table: Arc::new(table),
            endpoints,
            calling,
            limits: Limits {
                attempts_max: i64::from(config.forward.attempts),
                age_max: Duration::from_secs(u64::from(config.forward.give_up_after_h) * 3600),
            },
        })
    }

    /// What decides on sending on; none when there are no rules.
    pub(crate) fn router(&self) -> Option<Arc<dyn Router>> {
        (!self.table.is_empty()).then(|| Arc::clone(&self.table) as Arc<dyn Router>)
    }

    /// Checks that every destination of a rule is configured or an enrolled device.
    pub(crate) async fn check(&self, archive: &Archive) -> Result<()> {
        let devices = archive.devices().list().await?;
        let reachable =
            |device: &&archive::device::Device| device.listener.is_some() && device.revoked_at.is_none();
        let titles: Vec<String> = devices
            .iter()
            .filter(reachable)
            .map(|device| device.ae_title.clone())
            .collect();
        self.table.check_destinations(&titles).context("[[route]]")
    }

    /// Delivery on an open archive.
    pub(crate) fn forwarding(&self, archive: Archive) -> Forwarding {
        Forwarding::new(archive, self.endpoints.clone(), self.calling.clone(), self.limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<Rules> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.toml");
        std::fs::write(&path, text).unwrap();
        Rules::new(&Config::load(Some(&path))?)
    }

    const PROVINCE: &str =
        "[[destination]]\nname = \"province\"\naddress = \"10.1.2.3:104\"\nae_title = \"PROV\"\n";

    #[test]
    fn destinations_and_rules_are_read() {
        let text = format!(
            "{PROVINCE}associations = 3\n[[route]]\nname = \"CT\"\nmatch = {{ modality = [\"CT\"], hours = \"18:00-08:00\" }}\nto = [\"province\"]\nwhen = \"study_complete\"\ncommit = true\n"
        );
        let rules = rules(&text).unwrap();
        assert!(rules.router().is_some());
        assert_eq!(rules.endpoints[0].associations, 3);
        assert!(rules.table.check_destinations(&[]).is_ok());
    }

    #[test]
    fn without_rules_there_is_no_router() {
        assert!(rules("").unwrap().router().is_none());
    }

    #[test]
    fn a_file_of_its_own_may_hold_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("routes.toml");
        let text = format!("{PROVINCE}[[route]]\nname = \"all\"\nto = [\"province\"]\n");
        std::fs::write(&file, text).unwrap();
        let named = rules(&format!("[forward]\nroutes = {:?}\n", file.display().to_string())).unwrap();
        assert!(named.router().is_some());
        std::fs::write(&file, "[[routes]]\nname = \"all\"\n").unwrap();
        let error = rules(&format!("[forward]\nroutes = {:?}\n", file.display().to_string())).err();
        let words = format!("{:#}", error.unwrap());
        assert!(
            words.contains("routes.toml") || words.contains("routes"),
            "{words}"
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            (
                "[[destination]]\nname = \"p\"\naddress = \"10.1.2.3\"\nae_title = \"P\"\n".to_owned(),
                "HOST:PORT",
            ),
            (
                "[[destination]]\nname = \"p\"\naddress = \"a:1\"\nae_title = \"A_TITLE_THAT_IS_TOO_LONG\"\n"
                    .to_owned(),
                "AE title",
            ),
            (format!("{PROVINCE}associations = 99\n"), "1 to 16"),
            (format!("{PROVINCE}tls_cert = \"a.pem\"\n"), "belong together"),
            (format!("{PROVINCE}tls_name = \"a\"\n"), "tls_ca"),
            (format!("{PROVINCE}tls_ca = \"/no/such/file.pem\"\n"), "file.pem"),
            (format!("{PROVINCE}{PROVINCE}"), "another one has this name"),
            (format!("{PROVINCE}port = 3\n"), "port"),
            ("[[route]]\nname = \"a\"\nto = []\n".to_owned(), "to is empty"),
            (
                "[[route]]\nname = \"a\"\nto = [\"b\"]\nmodality = \"CT\"\n".to_owned(),
                "modality",
            ),
            ("[forward]\ntime_zone = \"Mars\"\n".to_owned(), "Asia/Shanghai"),
            (
                "[forward]\nroutes = \"/no/such/routes.toml\"\n".to_owned(),
                "no such file",
            ),
        ] {
            let message = format!("{:#}", rules(&text).err().unwrap());
            assert!(message.contains(words), "{text}: {message}");
        }
    }
}
