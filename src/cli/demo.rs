//! `gongying demo`: a whole county on this machine.

use crate::config::Config;
use crate::demo;
use crate::node::{Node, Running, start_log};
use crate::output;
use anyhow::{Context, Result};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Run a whole demonstration county on this machine: all roles over embedded storage, with synthetic patients that are
/// sent through the real DICOM port. Running it again keeps what is there.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: gongying demo --data ./data --http 127.0.0.1:8080 --dicom 127.0.0.1:11112\n\nGONGYING_DEMO_PASSWORD sets the password of every demo account; without it each start makes one and prints it."
)]
pub(crate) struct Demo {
    /// Folder of everything that the demonstration keeps.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data: PathBuf,
    /// Address of the pages and the API.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Address of the DICOM port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:11112")]
    dicom: SocketAddr,
    /// Address of the DICOM port with TLS; port 2762 beside the usual DICOM port, else a free one, when missing.
    #[arg(long, value_name = "ADDR")]
    dicom_tls: Option<SocketAddr>,
    /// Do not open a browser.
    #[arg(long)]
    no_browser: bool,
}

impl Demo {
    pub(super) fn run(self) -> Result<()> {
        std::fs::create_dir_all(&self.data)
            .with_context(|| format!("{}: the folder cannot be made", self.data.display()))?;
        let mut config = Config::demo(&self.data, self.http, self.dicom);
        config.dicom.tls_listen = Some(self.dicom_tls.unwrap_or_else(|| tls_address(self.dicom)));
        start_log(&config.log);
        let (password, chosen) = password()?;
        super::block_on(async {
            let node = Node::open(config).await?;
            demo::community(&node, &password).await?;
            let running = node.start().await?;
            demo::studies(&node, &running, &self.data, &password).await?;
            self.announce(&running, &password, chosen)?;
            running.until_stopped().await
        })
    }

    fn announce(&self, running: &Running, password: &str, chosen: bool) -> Result<()> {
        let http = running.http.map(|a| a.to_string()).unwrap_or_default();
        let dicom = running.dicom.map(|a| a.to_string()).unwrap_or_default();
        let tls = running.dicom_tls.map(|a| a.to_string()).unwrap_or_default();
        let shown = if chosen {
            "from GONGYING_DEMO_PASSWORD"
        } else {
            password
        };
        let accounts: Vec<String> = reading::demo::ACCOUNTS
            .iter()
            .map(|a| {
                let duties: Vec<&str> = a.roles.iter().map(|r| r.as_str()).collect();
                format!("    {:18} {:10} {}", a.user, a.institution, duties.join(", "))
            })
            .collect();
        output::line(&format!(
            "\n共影 Gongying demonstration. Not a registered medical device; every patient is synthetic.\n\n  \
             Pages     http://{http}\n  DICOM     GONGYING at {dicom}, with TLS at {tls}\n  Data      {}\n  Password  {shown}\n\n  Accounts\n{}\n",
            self.data.display(),
            accounts.join("\n")
        ))?;
        output::line(&format!("READY http={http} dicom={dicom} tls={tls}"))?;
        if !self.no_browser {
            open_browser(&format!("http://{http}/login"));
        }
        Ok(())
    }
}

/// The registered port of DICOM over TLS beside the usual DICOM port where it is free, else any: several
/// demonstrations on one machine do not race for it.
fn tls_address(dicom: SocketAddr) -> SocketAddr {
    const DICOM_PORT: u16 = 11112;
    const DICOM_TLS_PORT: u16 = 2762;
    let usual = SocketAddr::new(dicom.ip(), DICOM_TLS_PORT);
    match dicom.port() == DICOM_PORT && std::net::TcpListener::bind(usual).is_ok() {
        true => usual,
        false => SocketAddr::new(dicom.ip(), 0),
    }
}

/// The password of the accounts, and whether the caller chose it.
fn password() -> Result<(String, bool)> {
    if let Ok(chosen) = std::env::var("GONGYING_DEMO_PASSWORD") {
        anyhow::ensure!(
            chosen.chars().count() >= 8,
            "GONGYING_DEMO_PASSWORD: at least 8 characters are needed"
        );
        return Ok((chosen, true));
    }
    // Letters and digits that nobody confuses on a screen; 12 of 31 are 59 bits, and accounts lock.
    const ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut random = [0_u8; 64];
    getrandom::fill(&mut random).map_err(|e| anyhow::anyhow!("no random bytes from the system: {e}"))?;
    let letters = random
        .iter()
        .filter(|b| **b < 248)
        .map(|b| char::from(ALPHABET[usize::from(*b) % ALPHABET.len()]));
    Ok((letters.take(12).collect(), false))
}

/// Opens the login page where a desktop is there; a machine without one says nothing.
fn open_browser(url: &str) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let desktop = cfg!(target_os = "macos")
        || std::env::var_os("DISPLAY").is_some()
        || std::env::var_os("WAYLAND_DISPLAY").is_some();
    if desktop {
        let quiet = std::process::Stdio::null;
        // The address stands on the screen anyway.
        let _ = std::process::Command::new(opener)
            .arg(url)
            .stdin(quiet())
            .stdout(quiet())
            .stderr(quiet())
            .spawn();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_passwords_are_long_and_differ() {
        if std::env::var_os("GONGYING_DEMO_PASSWORD").is_some() {
            return;
        }
        let (a, b) = (password().unwrap(), password().unwrap());
        assert!(a.0.len() == 12 && a.0 != b.0 && !a.1);
    }
}
