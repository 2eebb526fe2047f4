//! DICOM devices: enrolment, and those that were turned away.

use super::Place;
use super::community::id;
use crate::node::Node;
use crate::output;
use anyhow::{Context, Result, bail};
use archive::device::{NewDevice, address_fits};
use archive::refused_caller::RefusedCaller;
use archive::{Sha256Digest, UnixMicros};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// China Standard Time: the day of an expiry ends at this node's midnight.
const CHINA_OFFSET: Duration = Duration::from_secs(8 * 3600);

#[derive(Subcommand, Debug)]
pub(crate) enum Device {
    /// Enrol a device: from now on it may connect under its AE title.
    #[command(
        after_help = "Example: gongying admin device create --name \"东山 DR\" --aet DONGSHAN_DR --institution DONGSHAN --from 10.1.4.20 --expires 2027-12-31 --config node.toml"
    )]
    Create(Box<Create>),
    /// Show all devices and when each was last seen.
    #[command(after_help = "Example: gongying admin device list --data ./data")]
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Refuse a device from now on.
    #[command(after_help = "Example: gongying admin device revoke --aet DONGSHAN_DR --config node.toml")]
    Revoke {
        #[arg(long)]
        aet: String,
        #[command(flatten)]
        place: Place,
    },
    /// Show callers that were turned away lately, each with the command that enrols it.
    #[command(after_help = "Example: gongying admin device refused --config node.toml")]
    Refused {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    #[arg(long)]
    name: String,
    /// AE title, 1 to 16 characters.
    #[arg(long)]
    aet: String,
    /// Code of the institution it stands in.
    #[arg(long)]
    institution: String,
    /// Address (or network, 10.1.4.0/24) that it connects from; anywhere when missing.
    #[arg(long, value_name = "ADDR")]
    from: Option<String>,
    /// It must come by TLS and present this certificate (PEM or DER).
    #[arg(long, value_name = "FILE", conflicts_with = "certificate_sha256")]
    certificate: Option<PathBuf>,
    /// The same by the SHA-256 of the certificate, as the list of refused callers shows it.
    #[arg(long, value_name = "HEX")]
    certificate_sha256: Option<String>,
    /// Last day (2027-12-31) or moment (2027-12-31T08:00:00+08:00) of the enrolment; no end when missing.
    #[arg(long, value_name = "DATE")]
    expires: Option<String>,
    /// It may also query and retrieve, not only store and read the worklist.
    #[arg(long)]
    may_retrieve: bool,
    /// Where it listens for C-MOVE and storage commitment results.
    #[arg(long, value_name = "HOST:PORT")]
    listener: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl Device {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Device::Create(create) => create.run().await,
            Device::List { place } => list(&place.open().await?).await,
            Device::Revoke { aet, place } => revoke(&place.open().await?, &aet).await,
            Device::Refused { place } => {
                let callers = place.open().await?.archive.devices().refused().await?;
                callers
                    .iter()
                    .try_for_each(|caller| output::line(&refused(caller)))
            }
        }
    }
}

impl Create {
    async fn run(self) -> Result<()> {
        let certificate = match (&self.certificate, &self.certificate_sha256) {
            (Some(file), _) => Some(crate::tls::fingerprint(file)?),
            (None, Some(digits)) => Some(digest(digits)?),
            (None, None) => None,
        };
        let expires_at = self.expires.as_deref().map(end_of).transpose()?;
        let node = self.place.open().await?;
        let new = NewDevice {
            name: self.name,
            ae_title: self.aet,
            institution_id: id(&node, &self.institution).await?,
            from_addr: self.from,
            may_store: true,
            may_query: self.may_retrieve,
            may_retrieve: self.may_retrieve,
            listener: self.listener,
            expires_at,
        };
        let devices = node.archive.devices();
        let made = devices.create_with_certificate(new, certificate).await?;
        for caller in devices.refused().await? {
            let is_it = caller.calling == made.ae_title
                && made.from_addr.as_ref().is_none_or(|rule| {
                    caller
                        .address
                        .parse()
                        .is_ok_and(|address| address_fits(rule, address))
                });
            if is_it {
                devices.forget_refused(&caller.calling, &caller.address).await?;
            }
        }
        let by = if made.certificate.is_some() {
            ", by TLS with its certificate"
        } else {
            ""
        };
        let until = made
            .expires_at
            .map(|end| format!(", until {end}"))
            .unwrap_or_default();
        output::line(&format!(
            "{} may connect from {}{by}{until}",
            made.ae_title,
            made.from_addr.as_deref().unwrap_or("anywhere")
        ))
    }
}

/// A whole day holds to its end.
fn end_of(text: &str) -> Result<UnixMicros> {
    let at = UnixMicros::parse_iso8601(text).with_context(|| {
        format!("--expires {text}: write a date such as 2027-12-31, or a moment with its time zone")
    })?;
    let is_day = !text.contains('T');
    Ok(if is_day {
        at.plus(DAY).minus(CHINA_OFFSET)
    } else {
        at
    })
}

fn digest(digits: &str) -> Result<Sha256Digest> {
    let plain: String = digits.chars().filter(|c| *c != ':').collect();
    let pairs = plain.as_bytes().chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    });
    pairs
        .collect::<Option<Vec<u8>>>()
        .and_then(|bytes| Sha256Digest::from_slice(&bytes))
        .context("--certificate-sha256: write 64 hexadecimal digits")
}

async fn list(node: &Node) -> Result<()> {
    let activity = node.archive.device_activity().await?;
    for device in node.archive.devices().list().await? {
        let state = match (device.revoked_at, device.is_enrolled()) {
            (Some(_), _) => "revoked",
            (None, false) => "expired",
            (None, true) => "enrolled",
        };
        let seen = device
            .last_seen_at
            .map_or_else(|| "never seen".to_string(), |at| format!("last seen {at}"));
        let mut more = activity.get(&device.id).map(did_line).unwrap_or_default();
        for (word, value) in [
            ("until", device.expires_at.map(|at| at.to_string())),
            ("listens at", device.listener),
            ("certificate", device.certificate),
        ] {
            if let Some(value) = value {
                more.push_str(&format!("  {word} {value}"));
            }
        }
        output::line(&format!(
            "{:16} {state:9} {:20} {seen}  {}{more}",
            device.ae_title,
            device.from_addr.unwrap_or_default(),
            device.name
        ))?;
    }
    Ok(())
}

/// What a device did, for the end of its line.
fn did_line(did: &archive::tally::DeviceActivity) -> String {
    let mut text = format!(
        "; {} objects ({:.1} MB) kept, {} there before",
        did.stored,
        did.stored_bytes as f64 / 1e6,
        did.duplicate
    );
    for (what, by) in [("refused", &did.refused), ("rejected", &did.rejected)] {
        for (reason, count) in by {
            text.push_str(&format!(", {count} {what}: {}", reason.replace('_', " ")));
        }
    }
    text
}

async fn revoke(node: &Node, aet: &str) -> Result<()> {
    let devices = node.archive.devices();
    let enrolled: Vec<_> = devices
        .list()
        .await?
        .into_iter()
        .filter(|d| d.ae_title == aet && d.revoked_at.is_none())
        .collect();
    if enrolled.is_empty() {
        bail!("no enrolled device has the AE title {aet}");
    }
    for device in enrolled {
        devices.revoke(device.id).await?;
    }
    output::line(&format!("{aet} is refused from now on"))
}

/// One caller: what it was, and what to type to let it in.
fn refused(caller: &RefusedCaller) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let certificate = caller
        .certificate
        .as_ref()
        .map(|digits| format!(" --certificate-sha256 {digits}"))
        .unwrap_or_default();
    format!(
        "{} from {}, {} times, last {}, called {}: {}\n    gongying admin device create --name NAME --aet {} --institution CODE --from {}{certificate}",
        caller.calling,
        caller.address,
        caller.count,
        caller.last_at,
        caller.called,
        caller.reason,
        quote(&caller.calling),
        caller.address
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enrolments_end_with_a_day_or_at_a_moment() {
        let check = |text: &str, expect: &str| {
            assert_eq!(end_of(text).unwrap().to_iso8601(), expect, "{text}");
        };
        check("2027-12-31", "2027-12-31T16:00:00.000Z");
        check("2027-12-31T08:00:00+08:00", "2027-12-31T00:00:00.000Z");
        assert!(end_of("31.12.2027").is_err());
    }

    #[test]
    fn digests_are_read_with_and_without_colons() {
        let digits = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(digest(&digits).unwrap(), digest(&colons).unwrap());
        assert!(digest("abc").is_err());
        assert!(digest(&"zz".repeat(32)).is_err());
    }
}
